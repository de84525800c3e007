// Profile: what request threads use the processor for, as a flame graph: routes above, below each call those made from it, as wide as its
// CPU time. It is made when the button is pressed; a click on a call shows that one alone.
import { card, el, figures, fill, table } from "/dom.js";
import { units } from "/units.js";

const SECONDS = [5, 10, 30, 60];
const FILES = [["speedscope", "profile.speedscope.json"], ["pprof", "profile.pb.gz"], ["folded", "profile.folded"], ["svg", "profile.svg"]];
// Calls that are narrower than this share of the picture are left out.
const NARROWEST = 0.002;
const DEEPEST = 120;

let last = null; // the last profile, also after another page was open

const place = (profile, call) => {
  const { name, file } = profile.functions[call.function];
  return file ? `${file}:${call.line}` : name;
};
const title = (profile, call) => {
  const { name, file } = profile.functions[call.function];
  return file ? `${name} (${file}:${call.line})` : name;
};

// Adds to each call what it has with those made from it, and those calls.
function grown(profile) {
  const calls = profile.calls.map((call) => ({ ...call, all: call.ns, below: [] }));
  for (let at = calls.length - 1; at >= 0; at -= 1) {
    const from = calls[at].from;
    if (from == null) continue;
    calls[from].all += calls[at].all;
    calls[from].below.push(calls[at]);
  }
  calls.forEach((call) => call.below.sort((a, b) => b.all - a.all));
  return calls;
}

export function profile(page, app) {
  const box = card(page, "Profile: functions in which request threads use the processor", true);
  const length = el("select", {}, ...SECONDS.map((value) => el("option", { value }, `${value} seconds`)));
  length.value = "10";
  const button = el("button", { type: "button" }, "Start");
  const note = el("p", { class: "soft", role: "status" }, "A profile is made when you start one. Until then it costs nothing.");
  const [numbers, files, picture, rows] = [el("div"), el("p"), el("div", { class: "flames" }), el("div")];
  box.append(el("p", {}, el("label", {}, "Length ", length), " ", button), note, numbers, files, picture, rows);
  let closed = false;
  let timer = 0;

  async function start() {
    const seconds = Number(length.value);
    const query = new URLSearchParams({ seconds, format: "json" });
    if (app.state.group) query.set("process_group", app.state.group);
    button.disabled = true;
    let left = seconds;
    const tell = () => fill(note, left > 0 ? `Request threads are sampled for ${left} more seconds.` : "Waiting for the last samples.");
    tell();
    timer = setInterval(() => { left -= 1; tell(); }, 1000);
    const response = await fetch(`/api/v1/profile?${query}`, { headers: { Accept: "application/json" } }).catch(() => null);
    clearInterval(timer);
    const told = response && (response.ok ? await response.json() : (await response.text()).trim());
    if (response?.ok) last = told;
    if (closed) return;
    button.disabled = false;
    if (response?.ok) show();
    else fill(note, told ?? "The server does not answer.");
  }

  function show() {
    if (!last) return;
    const calls = grown(last);
    const made = new Date(last.ended * 1000).toLocaleTimeString("en-GB");
    const why = last.why.length ? ` A worker could not be profiled: ${last.why.join("; ")}.` : "";
    fill(note, `Of ${last.seconds} s until ${made}.${why}${last.samples ? "" : " No request thread used 20 ms of the processor."}`);
    fill(numbers, figures([
      ["CPU time", units.seconds(last.cpu_seconds)], ["samples", last.samples], ["workers", last.workers],
      ...(last.lost_seconds > 0 ? [["without a stack", units.seconds(last.lost_seconds)]] : []),
    ]));
    const links = FILES.map(([format, name]) => el("a", { href: `/api/v1/profile/last?format=${format}`, download: name }, format));
    fill(files, "Download: ", ...links.flatMap((link, index) => (index ? [", ", link] : [link])));
    draw(calls, null);
    const lines = new Map();
    for (const call of calls.filter((one) => one.ns > 0)) {
      const key = `${call.function} ${call.line}`;
      const line = lines.get(key) ?? { name: last.functions[call.function].name, place: place(last, call), seconds: 0 };
      line.seconds += call.ns / 1e9;
      lines.set(key, line);
    }
    const share = (line) => (last.cpu_seconds ? line.seconds / last.cpu_seconds : 0);
    fill(rows, table("Lines with the most CPU time of their own", [
      { name: "share", cell: (line) => units.share(share(line)), kind: "number", by: share },
      { name: "CPU time", cell: (line) => units.seconds(line.seconds), kind: "number", by: (line) => line.seconds },
      { name: "function", cell: (line) => line.name, kind: "text", by: (line) => line.name },
      { name: "line", cell: (line) => line.place, kind: "text", by: (line) => line.place },
    ], [...lines.values()], "No samples.", { order: { column: 1, rising: false }, most: 100, again: show }));
  }

  // `top`: the call that is shown alone; null: all.
  function draw(calls, top) {
    const roots = top ? [top] : calls.filter((call) => call.from == null && call.all > 0).sort((a, b) => b.all - a.all);
    const whole = roots.reduce((sum, call) => sum + call.all, 0);
    const back = el("button", { type: "button" }, "Show all");
    back.addEventListener("click", () => draw(calls, null));
    const column = (call, depth) => {
      const text = title(last, call);
      const bar = el("button", { type: "button", class: `bar flame d${depth % 3 + 1}`, title: `${text}: ${units.seconds(call.all / 1e9)}, ${units.share(call.all / whole)}` }, text);
      bar.addEventListener("click", () => draw(calls, call === top ? null : call));
      const shown = depth < DEEPEST ? call.below.filter((one) => one.all > NARROWEST * whole) : [];
      const rest = call.all - shown.reduce((sum, one) => sum + one.all, 0);
      const filler = el("div", { class: "column" });
      filler.style.flexGrow = String(rest);
      const below = shown.length ? el("div", { class: "below" }, ...shown.map((one) => column(one, depth + 1)), rest > 0 ? filler : null) : null;
      const node = el("div", { class: "column" }, bar, below);
      node.style.flexGrow = String(call.all);
      return node;
    };
    fill(picture, top ? el("p", {}, back) : null, el("div", { class: "holders" }, ...roots.map((call) => column(call, 0))));
  }

  button.addEventListener("click", () => void start());
  show();
  return { update() {}, close() { closed = true; clearInterval(timer); } };
}
