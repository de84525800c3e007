// The page Requests: those in flight and those that were kept, found by path, status and id.
import { card, el, field, fill, table } from "/dom.js";
import { application, seconds, split, splitKey } from "/figures.js";
import { clock } from "/units.js";

const number = (name, get, shown = (value) => value ?? "–", colour) => ({ name, cell: (row) => shown(get(row)), kind: "number", by: get, colour });
const red = (request) => (request.status >= 500 || request.exception ? "bad" : "");

export const inFlight = (shown) => [
  number("running for", (r) => r.seconds, seconds), { name: "request", cell: (r) => `${r.method} ${r.path}`, kind: "text", by: (r) => r.path },
  { name: "Python stack", cell: (r) => stackButton(r, shown) },
  number("CPU", (r) => r.cpu, seconds), number("GIL wait", (r) => r.gil_wait, seconds), number("waits", (r) => r.gil_waits), number("queue", (r) => r.queue, seconds),
  number("pid", (r) => r.pid), number("thread", (r) => r.thread), { name: "id", cell: (r) => r.id || r.request, kind: "text", by: (r) => r.request },
  { name: "application group", cell: (r) => application(r.application_group), kind: "text" },
];

export const FINISHED = [
  number("response", (r) => r.response, seconds), { name: "request", cell: (r) => `${r.method} ${r.path}`, kind: "text", by: (r) => r.path },
  number("status", (r) => r.status || null, undefined, red), { name: "exception", cell: (r) => r.raised ?? "–", colour: (r) => (r.raised ? "bad" : ""), by: (r) => r.raised ?? "" },
  { name: "parts", cell: split }, number("CPU", (r) => r.cpu, seconds), number("GIL wait", (r) => r.gil_wait, seconds),
  number("blocked", (r) => r.blocked, seconds), number("queue", (r) => r.queue, seconds),
  { name: "longest GIL wait", cell: (r) => (r.culprit ? `${seconds(r.longest_gil_wait)}, held by ${r.culprit}` : "–"), kind: "text", by: (r) => r.longest_gil_wait },
  { name: "time", cell: (r) => clock(r.start), by: (r) => r.start }, number("pid", (r) => r.pid), number("thread", (r) => r.thread), { name: "id", cell: (r) => r.id || r.request, kind: "text", by: (r) => r.request },
];

// A button that shows the present Python stack of a request below the table.
function stackButton(request, shown) {
  const button = el("button", { type: "button", "aria-label": `Python stack of ${request.method} ${request.path}` }, "show");
  button.addEventListener("click", async () => {
    const response = await fetch(`/api/v1/stack?worker=${request.worker}&request=${request.request}`);
    const stack = response.ok ? (await response.json()).stack : await response.text();
    shown.textContent = `${request.method} ${request.path}\n${stack}`;
  });
  return button;
}

export const stackPlace = () => el("pre", { class: "stack", tabindex: "0", role: "status" });

export function requests(place, app) {
  const [running, slow, recent, trouble] = [el("div"), el("div"), el("div"), el("p", { class: "bad" })];
  const shown = stackPlace();
  const filter = (name, label, hint) => field(label, app.state.filter[name], (value) => {
    app.state.filter = { ...app.state.filter, [name]: value };
    app.load();
  }, hint);
  const search = card(place, "Find requests", true);
  search.append(el("div", { class: "filters" }, filter("path", "Path", "part of it"), filter("status", "Status", "404 or 5xx"), filter("id", "Id", "number or id")), trouble);
  card(place, "In flight", true).append(running, shown);
  const slowest = card(place, "Slowest requests kept in this range", true);
  slowest.append(splitKey(), slow);
  card(place, "Last requests kept in this range", true).append(recent);
  return {
    needs: ["requests"],
    update(state) {
      trouble.textContent = state.refused ? "No such filter: a status is a number like 404 or a class like 5xx." : "";
      const now = state.requests;
      if (!now) return;
      const any = Object.values(state.filter).some((value) => value !== "");
      const none = any ? "No request in this range fits." : "No requests in this range.";
      fill(running, table("Requests in flight", inFlight(shown), now.in_flight, any ? "No request in flight fits." : "No requests in flight.", { order: { column: 0, rising: false }, most: 200, again: app.again }));
      fill(slow, table("Slowest requests", FINISHED, now.slowest, none, { order: { column: 0, rising: false }, most: 25, again: app.again }));
      fill(recent, table("Last requests", FINISHED, now.recent, none, { order: { column: 10, rising: false }, most: 25, again: app.again }));
    },
  };
}
