// The page Processes: workers with their state, their interpreters, and those that have ended.
import { card, el, figures, fill, table } from "/dom.js";
import { application, eventsOf, exactness, returned, seconds, workersOf } from "/figures.js";
import { charts, lines, perWorker } from "/series.js";
import { clock, units } from "/units.js";

const ENDS = ["worker_left", "worker_crashed", "worker_gone"];
const STATE = { "import failed": "bad", leaving: "warn", starting: "warn", "all threads busy": "warn" };
const words = (text) => (text ?? "").replaceAll("_", " ");

// A square for each request thread.
function slots(worker) {
  const serves = (slot) => slot.state !== "idle";
  const busy = (worker.slots ?? []).filter(serves).length;
  const row = el("span", { class: "slots", role: "img", "aria-label": `${busy} of ${worker.threads} threads busy` });
  (worker.slots ?? []).forEach((slot) => row.append(el("i", { class: serves(slot) ? "busy" : "", title: slot.request ?? slot.state })));
  return row;
}

const number = (name, get, shown = (value) => value ?? "–") => ({ name, cell: (row) => shown(get(row)), kind: "number", by: get });
const text = (name, get, kind = "text") => ({ name, cell: (row) => get(row) || "–", kind, by: (row) => get(row) ?? "" });

function columns(workers) {
  const elsewhere = workers.some((worker) => worker.host);
  return [
    ...(elsewhere ? [text("host", (w) => w.host), text("instance", (w) => w.instance), text("source", (w) => w.source, "")] : []),
    number("pid", (w) => w.pid || null), text("group", (w) => w.process_group, ""),
    { ...text("state", (w) => w.state, ""), colour: (w) => STATE[w.state] }, text("reason", (w) => words((w.reason ?? "").split("\n")[0]), "text short"),
    { name: "threads", cell: slots }, number("busy", (w) => w.busy), number("in flight", (w) => w.in_flight),
    number("requests", (w) => w.requests_now, units.rate), number("CPU", (w) => w.cpu_now, units.count), number("memory", (w) => w.resident, units.bytes),
    number("GIL wait", (w) => w.gil_wait_now, units.count), number("requests, total", (w) => w.requests),
    number("uptime", (w) => w.uptime, seconds), number("import", (w) => w.import_seconds, seconds),
    text("Python", (w) => w.python, ""), text("GIL", (w) => (w.gil_enabled === false ? "none" : w.gil_mode), ""),
    number("switch interval", (w) => w.switch_interval, seconds),
  ];
}

const INTERPRETERS = [
  text("application group", (a) => application(a.application_group)), number("pid", (a) => a.pid), text("GIL", (a) => a.gil_mode, ""),
  number("switch interval", (a) => a.switch_interval, seconds), number("requests", (a) => a.requests_now, units.rate),
  number("CPU", (a) => a.cpu_now, units.count), number("GIL wait", (a) => a.gil_wait_now, units.count), number("requests, total", (a) => a.requests),
  { name: "collections", cell: (a) => a.gc.collections.join(" / "), kind: "number" }, number("GC pauses", (a) => a.gc.pause_seconds, seconds),
  number("longest pause", (a) => a.gc.longest_seconds, seconds), number("import", (a) => a.import_seconds, seconds),
];

const ENDED = [
  { name: "time", cell: (e) => clock(e.at), by: (e) => e.at }, number("pid", (e) => e.pid), text("group", (e) => e.process_group, ""),
  { ...text("reason", (e) => words(e.reason), ""), colour: (e) => (e.what === "worker_left" ? "" : "bad") },
  { name: "details", cell: (e) => e.text.split("\n")[0], kind: "text" },
  { name: "requests in flight", cell: (e) => (e.requests ?? []).map((request) => `${request.method} ${request.path}`).join(", ") || "–", kind: "text" },
];

// What the server's own processes use, and what clients keep them busy with.
const OWN = [
  text("process", (one) => one.process, ""), number("pid", (one) => one.pid), number("CPU, total", (one) => one.cpu_seconds, seconds), number("memory", (one) => one.resident, units.bytes),
];

function clients(status) {
  const total = status.minute.point;
  const sum = (get) => Object.values(status.queues ?? {}).reduce((all, queue) => all + get(queue), 0);
  const queued = Object.values(status.queued ?? {}).reduce((all, count) => all + count, 0);
  const rate = (value) => `${units.bytes(value)}/s`;
  return figures([
    ["connections", units.count(status.connections)], ["answers, total", units.count(status.requests)],
    ["bodies read", rate(total.bytes_in)], ["bodies written", rate(total.bytes_out)],
    ["queued", units.count(queued), queued ? "warn" : ""], ["held by the queue", units.bytes(sum((queue) => queue.held))],
    ["responses that wait for clients", `${units.bytes(status.waiting_responses.memory)}, in files ${units.bytes(status.waiting_responses.disk)}`],
  ]);
}

function heard(intake) {
  const missing = intake.refused || intake.lost || intake.pushes_refused || intake.crowded;
  const said = `Received ${intake.datagrams} datagrams and ${intake.pushes} OTLP requests. Unreadable: ${intake.refused} of the datagrams, ${intake.pushes_refused} of the requests. Lost on the way: ${intake.lost} datagrams.`;
  return el("p", { class: missing ? "warn" : "soft" }, said);
}

function allowed(state) {
  const { limits } = state.status;
  const throttled = limits.throttled_seconds ? ` The control group was throttled for ${seconds(limits.throttled_seconds)} so far.` : "";
  const memory = limits.memory ? `, ${units.bytes(limits.memory)} of memory` : "";
  const said = `This server may use ${units.count(limits.cpus)} CPUs${memory}.${throttled}`;
  return el("p", { class: limits.throttled_seconds ? "warn" : "soft" }, said);
}

export function processes(place, app) {
  const notes = el("div", { class: "wide" });
  place.append(notes);
  const [one, two, three, server] = [el("div"), el("div"), el("div"), el("div")];
  card(place, "Processes", true).append(one);
  card(place, "The server itself", true).append(server);
  card(place, "Processes that ended in this range", true).append(three);
  card(place, "Interpreters (application groups)", true).append(two);
  const drawn = charts(place, app, [
    { title: "Requests by process", unit: units.rate, series: perWorker("requests") },
    { title: "Busy threads by process (average)", unit: units.count, series: perWorker("busy") },
    { title: "Bodies of requests and responses", unit: (value, more) => (value == null ? "–" : `${units.bytes(value, more)}/s`), series: lines([["read", (p) => p.bytes_in], ["written", (p) => p.bytes_out]]) },
    { title: "Context switches", unit: units.rate, series: lines([["switches", (p) => p.switches]]) },
    { title: "Waiting for a CPU (average threads)", unit: units.count, series: lines([["all threads", (p) => p.run_delay], ["requests, without GIL waits", (p) => p.runnable]]) },
  ]);
  return {
    ...drawn,
    update(state) {
      const { intake } = state.status;
      fill(notes, intake ? heard(intake) : allowed(state), exactness(state), ...(intake ? [] : returned(state)));
      const workers = workersOf(state);
      fill(one, table("Processes", columns(workers), workers, "No processes.", { again: app.again }));
      const { status } = state;
      fill(server, intake ? null : clients(status), table("The server itself", OWN, status.server ?? [], "No processes.", { again: app.again }));
      const ended = eventsOf(state).filter((event) => ENDS.includes(event.what));
      fill(three, table("Processes that ended in this range", ENDED, ended, "No process ended in this range.", { order: { column: 0, rising: false }, again: app.again }));
      const rows = workers.flatMap((worker) => (worker.applications ?? []).map((application) => ({ pid: worker.pid, ...application })));
      fill(two, table("Interpreters", INTERPRETERS, rows, "No interpreters.", { again: app.again }));
      drawn.show(state);
    },
  };
}
