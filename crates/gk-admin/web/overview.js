// The page Overview: what limits each group, rate, errors and duration as clients saw them, and where the time goes.
import { card, el, figures, fill, printed, table } from "/dom.js";
import { certificates, eventsOf, groupsOf, returned, seconds, seen, shareOf, troubles } from "/figures.js";
import { charts, lines, perWorker, percentiles } from "/series.js";
import { ROUTES } from "/routes.js";
import { units } from "/units.js";

const KIND = { idle: "soft", overloaded: "bad", failing: "bad", saturated: "bad", "gil-bound": "warn", "cpu-bound": "warn", "lock-bound": "warn", "io-bound": "good", mixed: "soft" };
const NAME = { idle: "idle", overloaded: "overloaded", failing: "failing", saturated: "saturated", "gil-bound": "GIL-bound", "cpu-bound": "CPU-bound", "lock-bound": "lock-bound", "io-bound": "I/O-bound", mixed: "mixed" };

// The figures of a card: those of the last minute, and the present number of busy threads and queued requests.
function groupCard([name, group], status) {
  const label = group.label ?? { kind: "idle", why: "No process of this group has been seen.", advice: "" };
  const [point, minute] = [group.point, group.minute?.point];
  const head = [
    el("h2", {}, `${name} `, el("span", { class: `badge ${KIND[label.kind]}` }, NAME[label.kind] ?? label.kind)),
    el("p", {}, label.why), label.advice ? el("p", { class: "soft" }, label.advice) : null,
  ];
  if (!point || !minute) return el("section", { class: "card", "aria-label": `process group ${name}` }, ...head);
  const { rate, failed, time } = seen(minute);
  const errors = shareOf(failed, rate);
  const queue = status.queues?.[name];
  const each = (value) => (minute.requests ? seconds(value) : "–");
  const answered = (group.minute.answered ?? []).filter((one) => one.failed).slice(0, 3).map((one) => `${one.code} × ${one.count} (${one.words})`);
  return el("section", { class: "card", "aria-label": `process group ${name}` }, ...head,
    figures([
      ["answers", units.rate(rate)], ["errors", units.share(errors), errors ? "bad" : ""],
      ["p50", seconds(time.p50)], ["p95", seconds(time.p95)], ["p99", seconds(time.p99)],
      ["CPU / request", each(minute.cpu_per_request)], ["GIL wait / request", each(minute.gil_per_request)],
      ["busy threads", `${units.count(point.busy)} of ${units.count(point.threads)}`], ["queued", units.count(point.queued), point.queued ? "warn" : ""],
      ["CPU", `${units.count(minute.cpu)} of ${units.count(status.limits.cpus)}`], ["memory", units.bytes(point.resident)],
      ...(queue ? [["refused, in all", units.count(queue.full + queue.timed_out + queue.no_worker + queue.no_place)]] : []),
      ["switch interval", group.gil_enabled === false ? "no GIL" : seconds(group.switch_interval ?? null)],
    ]),
    el("p", { class: "soft" }, `The last ${Math.max(1, Math.round(group.minute.span))} s; threads and queue now.`, answered.length ? ` Errors: ${answered.join(", ")}.` : ""));
}

// Why a server is not ready, with the last failure of an import as it was printed.
function unready(state) {
  const { status } = state;
  const bad = (text) => el("p", { class: "bad" }, text);
  const waiting = status.waiting?.length ? status.waiting : ["a process group has no worker that takes requests"];
  const lines = [...(status.ready ? [] : waiting.map((line) => bad(`Not ready: ${line}.`))), ...(status.silent ?? []).map((line) => bad(`${line}.`))];
  const failure = status.ready ? null : eventsOf(state).findLast((event) => event.what === "worker_failed");
  if (failure) {
    const [first, ...more] = failure.text.split("\n");
    lines.push(bad(first), ...(more.length ? [printed(more.join("\n"))] : []));
  }
  return lines;
}

const ANSWERED = [
  { name: "status", cell: (a) => a.code, kind: "number", colour: (a) => (a.failed ? "bad" : ""), by: (a) => a.code },
  { name: "answered by", cell: (a) => a.source, by: (a) => a.source }, { name: "reason", cell: (a) => a.words, kind: "text", by: (a) => a.words },
  { name: "answers", cell: (a) => a.count, kind: "number", by: (a) => a.count }, { name: "share", cell: (a) => units.share(a.share), kind: "number", by: (a) => a.share },
];

const RAISED = [
  { name: "type", cell: (r) => r.type, kind: "text", by: (r) => r.type }, { name: "exceptions", cell: (r) => r.count, kind: "number", by: (r) => r.count },
];

export function overview(place, app) {
  const top = el("div", { class: "wide cards" });
  const red = el("div", { class: "wide red" });
  const [answers, raised, busiest] = [el("div"), el("div"), el("div")];
  place.append(top, red);
  const first = charts(red, app, [
    { title: "Answers to clients", unit: units.rate, series: lines([["answers", (p) => seen(p).rate, "--c1"], ["4xx", (p) => seen(p).refused, "--warn"]]) },
    { title: "Errors", unit: units.rate, series: lines([["all", (p) => seen(p).failed, "--bad"], ["server's", (p) => seen(p).by_front, "--c6"], ["broken off", (p) => seen(p).broken, "--warn"]]) },
    { title: "Time until the answer", unit: seconds, series: percentiles((p) => seen(p).time) },
  ]);
  const second = charts(place, app, [{ title: "Distribution of the time until the answer", heat: true, wide: true, time: (p) => seen(p).time }]);
  card(place, "Answers in this range").append(answers);
  card(place, "Exceptions in this range").append(raised, el("p", { class: "soft" }, "Exceptions that left the application. Frameworks turn most of theirs into a 500, and log them."));
  card(place, "Busiest routes in this range", true).append(busiest);
  const third = charts(place, app, [
    { title: "Where requests spend their time (average threads)", unit: units.count, stacked: true, series: lines([["on CPU", (p) => p.spent_on_cpu ?? p.on_cpu], ["GIL wait", (p) => p.spent_gil_wait ?? p.gil_wait], ["runnable", (p) => p.spent_runnable ?? p.runnable], ["blocked", (p) => p.spent_blocked ?? p.blocked]]) },
    { title: "Request threads", unit: units.count, series: lines([["busy", (p) => p.busy, "--c1"], ["all", (p) => p.threads, "--soft"], ["queued requests", (p) => p.queued, "--bad"]]) },
    { title: "CPU by process (cores)", unit: units.count, series: perWorker("cpu") },
    { title: "Memory by process", unit: units.bytes, series: perWorker("resident") },
    { title: "Time in the queue", unit: seconds, series: percentiles((p) => p.queue) },
    { title: "CPU and GIL wait per request", unit: seconds, series: lines([["CPU", (p) => (p.requests ? p.cpu_per_request : null)], ["GIL wait", (p) => (p.requests ? p.gil_per_request : null)]]) },
  ]);
  const drawn = [first, second, third];
  return {
    needs: ["distribution"],
    close: () => drawn.forEach((one) => one.close()),
    restyle: () => drawn.forEach((one) => one.restyle()),
    update(state) {
      fill(top, ...unready(state), ...returned(state), ...troubles(state), ...groupsOf(state).map((one) => groupCard(one, state.status)), ...certificates(state));
      drawn.forEach((one) => one.show(state));
      const past = state.distribution;
      if (!past) return;
      const whole = past.answered.reduce((sum, one) => sum + one.count, 0);
      const rows = past.answered.map((one) => ({ ...one, share: shareOf(one.count, whole) }));
      fill(answers, table("Answers in this range", ANSWERED, rows, "No answers in this range.", { order: { column: 3, rising: false }, again: app.again }));
      const types = Object.entries(past.raised).map(([type, count]) => ({ type, count }));
      fill(raised, table("Exceptions in this range", RAISED, types, "No exceptions in this range.", { order: { column: 1, rising: false }, again: app.again }));
      const routes = Object.entries(past.routes).filter(([, sums]) => sums.requests).map(([name, sums]) => ({ name, ...sums, span: past.span }));
      const time = routes.reduce((sum, route) => sum + route.response, 0);
      routes.sort((a, b) => b.response - a.response);
      fill(busiest, table("Busiest routes", ROUTES, routes.map((route) => ({ ...route, share: shareOf(route.response, time) })).slice(0, 8), "No requests in this range.", { order: { column: 6, rising: false }, again: app.again }));
    },
  };
}
