// The page Events: what happened in the range. Events of one kind for one reason are a group that opens.
import { card, el, field, fill, printed } from "/dom.js";
import { BAD, eventsOf, seconds } from "/figures.js";
import { clock } from "/units.js";

const words = (text) => text.replaceAll("_", " ");

function groupsOfEvents(events) {
  const groups = new Map();
  for (const event of events) {
    const key = [event.what, event.process_group ?? "", event.reason ?? ""].join("\n");
    if (!groups.has(key)) groups.set(key, { key, ...event, first: event.at, all: [] });
    const group = groups.get(key);
    group.all.push(event);
    [group.first, group.at] = [Math.min(group.first, event.at), Math.max(group.at, event.at)];
  }
  return [...groups.values()].sort((a, b) => b.at - a.at);
}

function details(event) {
  const [first, ...more] = event.text.split("\n");
  const where = [clock(event.at), event.process_group, event.pid ? `pid ${event.pid}` : null].filter(Boolean).join(" · ");
  return el("li", {},
    el("div", { class: "soft" }, where), el("div", { class: BAD.includes(event.what) ? "bad" : "" }, first),
    more.length ? printed(more.join("\n")) : null,
    ...(event.requests ?? []).map((request) => el("div", {}, `request in flight: ${request.method} ${request.path} for ${seconds(request.seconds)} in thread ${request.thread}`)));
}

export function events(place, app) {
  const list = el("div");
  const opened = new Set();
  let [wanted, kind, bad] = ["", "", false];
  const which = el("select", {}, el("option", { value: "" }, "all"));
  const only = el("input", { type: "checkbox" });
  which.addEventListener("change", () => { kind = which.value; app.again(); });
  only.addEventListener("change", () => { bad = only.checked; app.again(); });
  card(place, "Events in this range", true).append(
    el("div", { class: "filters" }, field("Text", wanted, (value) => { wanted = value.toLowerCase(); app.again(); }, "part of it"), el("label", {}, "Kind ", which), el("label", {}, only, " only what is wrong")),
    list);
  const group = (one) => {
    const many = one.all.length > 1;
    const head = el("summary", { "data-key": one.key },
      el("span", { class: "when" }, clock(one.at)), " ", el("strong", { class: BAD.includes(one.what) ? "bad" : "" }, words(one.what)),
      many ? el("span", { class: "badge" }, `${one.all.length} ×`) : null,
      ` ${[one.process_group, one.reason ? words(one.reason) : null].filter(Boolean).join(" · ")} `,
      el("span", { class: "soft" }, many ? `since ${clock(one.first)}` : one.text.split("\n")[0]));
    const box = el("details", { class: "event" }, head, el("ul", {}, ...one.all.slice(-50).reverse().map(details)));
    // A single crash shows its requests and its stack at once.
    box.open = opened.has(one.key) || (!opened.has(`closed ${one.key}`) && !many && BAD.includes(one.what));
    box.addEventListener("toggle", () => {
      opened.delete(one.key);
      opened.delete(`closed ${one.key}`);
      opened.add(box.open ? one.key : `closed ${one.key}`);
    });
    return box;
  };
  return {
    update(state) {
      const all = eventsOf(state);
      const kinds = [...new Set(all.map((event) => event.what))].sort();
      if ([...which.options].slice(1).map((option) => option.value).join("\n") !== kinds.join("\n") && document.activeElement !== which) {
        which.length = 1;
        kinds.forEach((what) => which.add(new Option(words(what), what)));
        which.value = kinds.includes(kind) ? kind : "";
        kind = which.value;
      }
      const fits = (event) => (!kind || event.what === kind) && (!bad || BAD.includes(event.what)) && (!wanted || `${words(event.what)} ${event.reason ?? ""} ${event.pid ?? ""} ${event.text}`.toLowerCase().includes(wanted));
      const shown = groupsOfEvents(all.filter(fits));
      fill(list, ...(shown.length ? shown.slice(0, 200).map(group) : [el("p", { class: "soft" }, all.length ? "No event in this range fits." : "No events in this range.")]));
    },
  };
}
