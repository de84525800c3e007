// What the figures of a group, a process and a request say, in words and bars.
import { el } from "/dom.js";
import { units } from "/units.js";

export const seconds = units.seconds;
export const application = (name) => (name === "" ? "%{GLOBAL}" : name);

// The process groups that are shown; those without a process, which only the front knows, have no figures.
export function groupsOf(state) {
  const names = new Set([...Object.keys(state.status.groups), ...Object.keys(state.status.queues ?? {})]);
  return [...names].sort().filter((name) => !state.group || name === state.group).map((name) => [name, state.status.groups[name] ?? {}]);
}

export const workersOf = (state) => state.status.workers.filter((worker) => !state.group || worker.process_group === state.group);

export const eventsOf = (state) => {
  const { from, to } = state.zoom ?? { from: (state.status?.t ?? 0) - state.seconds, to: Infinity };
  const fits = (event) => event.at >= from && event.at <= to && (!state.group || !event.process_group || event.process_group === state.group);
  // One that came while the history was read is in it, too.
  const known = new Set();
  return state.events.filter((event) => {
    const key = `${event.at} ${event.what} ${event.worker} ${event.reason}`;
    return fits(event) && !known.has(key) && known.add(key);
  });
};

export const BAD = ["worker_crashed", "worker_gone", "worker_failed", "reload_refused", "gil_returned", "process_silent", "deadly_route", "certificates_refused", "certificate_expires", "exception_raised"];

// Whether the figures are those of other servers, which tell only what their workers saw.
let elsewhere = false;
export const ofOtherServers = (are) => { elsewhere = are; };

// Rate, errors and duration as clients saw them. Never now one and now the other: workers and clients see a request's end in different
// seconds.
export function seen(point) {
  if (!elsewhere) {
    return {
      rate: point.answers, failed: point.answers_failed, refused: point.answers_4xx, time: point.answer_time,
      by_front: point.answers_by_front, broken: point.answers_broken,
    };
  }
  return { rate: point.requests, failed: point.statuses[4], refused: point.statuses[3], time: point.response, by_front: 0, broken: 0 };
}

// The share of a part; none of nothing is not zero.
export const shareOf = (part, whole) => (whole ? part / whole : null);

// What stands in brackets is no route.
export const routeLink = (name) => name.startsWith("(") ? name : el("a", { href: `#route/${encodeURIComponent(name)}`, "data-key": `route ${name}` }, name);

export const PARTS = [["on CPU", "cpu"], ["GIL wait", "gil_wait"], ["runnable", "runnable"], ["blocked", "blocked"]];

export function split(request) {
  const values = PARTS.map(([, key]) => request[key] ?? 0);
  const sum = Math.max(values.reduce((a, b) => a + b, 0), 1e-9);
  const text = PARTS.map(([name], index) => `${name} ${units.seconds(values[index])}`).join(", ");
  const bar = el("span", { class: "split", role: "img", "aria-label": text, title: text });
  values.forEach((value, index) => {
    const piece = el("i", { class: `k${index + 1}` });
    piece.style.width = `${(100 * value) / sum}%`;
    bar.append(piece);
  });
  return bar;
}

export const splitKey = () => el("p", { class: "soft" }, ...PARTS.flatMap(([name], index) => [el("span", { class: `key k${index + 1}` }), `${name}  `]));

export function exactness(state) {
  const inexact = workersOf(state).filter((worker) => worker.gil_wait_exact === false);
  const free = workersOf(state).filter((worker) => worker.gil_enabled === false);
  if (free.length && free.length === workersOf(state).length) return el("p", { class: "good" }, "No GIL: the processes are free-threaded.");
  if (!inexact.length) return el("p", { class: "soft" }, "GIL waits are exact: every wait of every request thread is measured.");
  return el("p", { class: "warn" }, `GIL waits are a lower bound: ${inexact[0].gil_wait_why ?? "exact measurement is not possible here"}.`);
}

// What waits for locks are for, where there is no GIL.
export const LOCKS = [
  ["dict", "lock_dict"], ["list", "lock_list"], ["set", "lock_set"], ["other objects", "lock_object"], ["threading.Lock", "lock_lock"],
  ["pause of all threads", "lock_world"], ["import", "lock_import"], ["other", "lock_other"],
];

export const locksKnown = (state) => workersOf(state).some((worker) => worker.lock_waits_known === true);

// Nothing where there is a GIL.
export function locks(state) {
  const free = workersOf(state).filter((worker) => worker.lock_waits_known != null);
  if (!free.length) return null;
  const unknown = free.find((worker) => worker.lock_waits_known === false);
  if (unknown) return el("p", { class: "warn" }, `How long threads wait for each other's locks is not established: ${unknown.lock_waits_why}.`);
  return el("p", { class: "soft" }, "Waits for locks are told apart: see the chart of waits for locks.");
}

export function returned(state) {
  const bad = workersOf(state).filter((worker) => worker.gil_returned);
  return bad.map((worker) => el("p", { class: "bad" }, `The GIL is on again in process ${worker.pid}: ${worker.gil_returned} turned it on.`));
}

// Requests that were refused lately, and routes that workers die of.
export function troubles(state) {
  const queues = Object.entries(state.status.queues ?? {}).filter(([name]) => !state.group || name === state.group);
  const refused = ["full", "timed_out", "no_place"];
  return queues.flatMap(([name, queue]) => {
    const lines = queue.deadly.map(({ route, deaths }) => `Workers of ${name} die again and again while they serve ${route}: ${deaths} lately.`);
    if (queue.overloaded) {
      const count = refused.reduce((sum, key) => sum + queue[key], 0);
      lines.unshift(`${name} is overloaded: requests are answered 503, ${count} since the start. ${units.bytes(queue.held)} are held by requests that wait.`);
    }
    return lines.map((line) => el("p", { class: "bad" }, line));
  });
}

// The certificates of hosts that speak TLS, the next to expire first.
export function certificates(state) {
  const all = [...(state.status.certificates ?? [])].sort((a, b) => a.seconds_left - b.seconds_left);
  return all.slice(0, 8).map((one) => {
    const days = Math.floor(one.seconds_left / 86400);
    const when = days < 0 ? "has expired" : days === 0 ? "expires within a day" : `expires in ${days} day${days === 1 ? "" : "s"}`;
    const kind = days < 3 ? "bad" : days < 14 ? "warn" : "soft";
    return el("p", { class: kind }, `Certificate for ${one.names.join(", ") || one.host}: ${when} (${one.file}).`);
  });
}
