// The pages. A page is a function of its element and the app that returns {update, close, restyle, needs}.
import { Distribution, TimeChart, clock, units } from "/charts.js";
import { holders } from "/holders.js";

// Creates an element. Strings become text, so nothing from a request can become markup.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name === "class") node.className = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

function card(place, title, wide = false) {
  const box = el("section", { class: wide ? "card wide" : "card", "aria-label": title }, el("h2", {}, title));
  place.append(box);
  return box;
}

// `columns`: [heading, cell(row), kind]; kind "number" or "text".
function table(columns, rows, empty, label) {
  if (!rows.length) return el("p", { class: "soft" }, empty);
  const head = el("tr", {}, ...columns.map(([name, , kind]) => el("th", { scope: "col", class: kind }, name)));
  const line = (row) => el("tr", {}, ...columns.map(([, cell, kind]) => el("td", { class: kind }, cell(row))));
  const whole = el("table", {}, el("caption", { class: "hidden" }, label ?? empty), el("thead", {}, head), el("tbody", {}, ...rows.map(line)));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label ?? "table" }, whole);
}

// Replaces the contents, unless the user has selected text in them.
function fill(place, ...nodes) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && place.contains(selection.anchorNode)) return;
  place.replaceChildren(...nodes);
}

const figures = (pairs) => el("dl", { class: "figures" }, ...pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

const PARTS = [["on CPU", "cpu"], ["GIL wait", "gil_wait"], ["runnable", "runnable"], ["blocked", "blocked"]];

function split(request) {
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

const splitKey = () => el("p", { class: "soft" }, ...PARTS.flatMap(([name], index) => [el("span", { class: `key k${index + 1}` }), `${name}  `]));

const groupOf = (state) => Object.entries(state.status.groups).filter(([name]) => !state.group || name === state.group);
const workersOf = (state) => state.status.workers.filter((worker) => !state.group || worker.process_group === state.group);
const seconds = units.seconds;
const application = (name) => (name === "" ? "%{GLOBAL}" : name);

const KIND = { idle: "soft", overloaded: "bad", failing: "bad", saturated: "bad", "gil-bound": "warn", "cpu-bound": "warn", "io-bound": "good", mixed: "soft" };
const NAME = { idle: "idle", overloaded: "overloaded", failing: "failing", saturated: "saturated", "gil-bound": "GIL-bound", "cpu-bound": "CPU-bound", "io-bound": "I/O-bound", mixed: "mixed" };

// Rate, errors and duration as clients saw them. Other servers tell only what their workers saw, and so do old rows of the history.
function seen(point) {
  if (point.answers) return { rate: point.answers, failed: point.answers_failed, refused: point.answers_4xx, time: point.answer_time };
  return { rate: point.requests, failed: point.statuses[4], refused: point.statuses[3], time: point.response };
}

function exactness(state) {
  const inexact = workersOf(state).filter((worker) => worker.gil_wait_exact === false);
  const free = workersOf(state).filter((worker) => worker.gil_enabled === false);
  if (free.length && free.length === workersOf(state).length) return el("p", { class: "good" }, "No GIL: the processes are free-threaded.");
  if (!inexact.length) return el("p", { class: "soft" }, "GIL waits are exact: every wait of every request thread is measured.");
  return el("p", { class: "warn" }, `GIL waits are a lower bound: ${inexact[0].gil_wait_why ?? "exact measurement is not possible here"}.`);
}

function returned(state) {
  const bad = workersOf(state).filter((worker) => worker.gil_returned);
  return bad.map((worker) => el("p", { class: "bad" }, `The GIL is on again in process ${worker.pid}: ${worker.gil_returned} turned it on.`));
}

// Requests that were refused lately, and routes that workers die of.
function troubles(state) {
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
function certificates(state) {
  const all = [...(state.status.certificates ?? [])].sort((a, b) => a.seconds_left - b.seconds_left);
  return all.slice(0, 8).map((one) => {
    const days = Math.floor(one.seconds_left / 86400);
    const when = days < 0 ? "has expired" : days === 0 ? "expires within a day" : `expires in ${days} day${days === 1 ? "" : "s"}`;
    const kind = days < 3 ? "bad" : days < 14 ? "warn" : "soft";
    return el("p", { class: kind }, `Certificate for ${one.names.join(", ") || one.host}: ${when} (${one.file}).`);
  });
}

// === charts ===

function charts(place, app, list) {
  const made = list.map((one) => {
    const options = { ...one, zoom: app.zoom, events: () => app.state.events };
    return new TimeChart(card(place, one.title, one.wide), options);
  });
  const show = (state) => {
    const { from, to } = app.range();
    made.forEach((chart) => chart.show(state.rows, from, to));
  };
  return {
    show,
    close: () => made.forEach((chart) => chart.destroy()),
    restyle: () => made.forEach((chart) => chart.restyle()),
  };
}

const lines = (pairs) => () => pairs.map(([label, get]) => ({ label, get: (row) => (row.point ? get(row.point) : null) }));

// One line per process.
const perWorker = (key) => (rows) => {
  const sums = new Map();
  for (const row of rows) {
    for (const [pid, worker] of Object.entries(row.workers)) sums.set(pid, (sums.get(pid) ?? 0) + (worker[key] ?? 0));
  }
  // At most 16 lines, or the chart is unreadable: the processes with the largest sums, in the order of their first appearance.
  const most = new Set([...sums].sort((a, b) => b[1] - a[1]).slice(0, 16).map(([pid]) => pid));
  return [...sums.keys()].filter((pid) => most.has(pid)).map((pid) => ({ label: /^\d+$/.test(pid) ? `pid ${pid}` : pid, get: (row) => row.workers[pid]?.[key] ?? null }));
};

// === pages ===

function overview(place, app) {
  const top = el("div", { class: "wide" });
  place.append(top);
  const drawn = charts(place, app, [
    { title: "Answers to clients", unit: units.rate, series: lines([["answers", (p) => seen(p).rate], ["4xx", (p) => seen(p).refused], ["errors", (p) => seen(p).failed], ["errors of the server", (p) => p.answers_by_front ?? 0]]) },
    { title: "Time until the answer", unit: seconds, series: lines([["p50", (p) => seen(p).time.p50], ["p95", (p) => seen(p).time.p95], ["p99", (p) => seen(p).time.p99], ["mean", (p) => seen(p).time.mean]]) },
    { title: "Requests in workers", unit: units.rate, series: lines([["requests", (p) => p.requests], ["errors", (p) => p.errors], ["exceptions", (p) => p.exceptions ?? 0]]) },
    { title: "Response time of workers", unit: seconds, series: lines([["p50", (p) => p.response.p50], ["p95", (p) => p.response.p95], ["p99", (p) => p.response.p99], ["mean", (p) => p.response.mean]]) },
    { title: "Where requests spend their time (average threads)", unit: units.count, stacked: true, series: lines([["on CPU", (p) => p.spent_on_cpu ?? p.on_cpu], ["GIL wait", (p) => p.spent_gil_wait ?? p.gil_wait], ["runnable", (p) => p.spent_runnable ?? p.runnable], ["blocked", (p) => p.spent_blocked ?? p.blocked]]) },
    { title: "Request threads", unit: units.count, series: lines([["busy", (p) => p.busy], ["capacity", (p) => p.threads], ["queued requests", (p) => p.queued]]) },
    { title: "CPU by process (cores)", unit: units.count, series: perWorker("cpu") },
    { title: "Memory by process", unit: units.bytes, series: perWorker("resident") },
    { title: "Time in the queue", unit: seconds, series: lines([["p50", (p) => p.queue.p50], ["p95", (p) => p.queue.p95], ["p99", (p) => p.queue.p99]]) },
    { title: "CPU and GIL wait per request", unit: seconds, series: lines([["CPU", (p) => p.cpu_per_request], ["GIL wait", (p) => p.gil_per_request]]) },
  ]);
  return {
    ...drawn,
    update(state) {
      const status = state.status;
      const cards = groupOf(state).map(([name, group]) => {
        const point = group.point;
        const label = group.label ?? { kind: "idle", why: "", advice: "" };
        return el("section", { class: "card", "aria-label": `process group ${name}` },
          el("h2", {}, `${name} `, el("span", { class: `badge ${KIND[label.kind]}` }, NAME[label.kind] ?? label.kind)),
          el("p", {}, label.why), label.advice ? el("p", { class: "soft" }, label.advice) : null,
          figures([
            ["answers", units.rate(seen(point).rate)], ["errors", units.share(seen(point).rate ? seen(point).failed / seen(point).rate : 0)],
            ["p50", seconds(seen(point).time.p50)], ["p99", seconds(seen(point).time.p99)],
            ["CPU / request", seconds(point.cpu_per_request)], ["GIL wait / request", seconds(point.gil_per_request)],
            ["busy threads", `${units.count(point.busy)} of ${units.count(point.threads)}`],
            ["CPU", `${units.count(point.cpu)} of ${units.count(status.limits.cpus)}`], ["memory", units.bytes(point.resident)],
            ["switch interval", group.gil_enabled === false ? "no GIL" : group.switch_interval == null ? "–" : seconds(group.switch_interval)],
          ]));
      });
      const bad = (text) => el("p", { class: "bad" }, text);
      const waiting = status.waiting?.length ? status.waiting : ["a process group has no worker that takes requests"];
      const ready = [...(status.ready ? [] : waiting.map((line) => bad(`Not ready: ${line}.`))), ...(status.silent ?? []).map((line) => bad(`${line}.`))];
      fill(top, ...ready, ...returned(state), ...troubles(state), ...cards, ...certificates(state));
      drawn.show(state);
    },
  };
}

function gil(place, app) {
  const box = card(place, "Distribution of GIL waits", true);
  const note = el("div");
  const which = el("select", {}, el("option", { value: "single_wait" }, "single waits"), el("option", { value: "gil_wait" }, "sum of a request's waits"));
  const interpreter = el("select", {}, el("option", { value: "*" }, "all"));
  const numbers = el("div");
  box.append(note, el("p", {}, el("label", {}, "Show ", which), "  ", el("label", {}, "Application group ", interpreter)), numbers);
  const drawing = new Distribution(box);
  const table1 = card(place, "GIL waits by cause");
  const table2 = card(place, "GIL waits by route");
  const [pairs, routes] = [el("div"), el("div")];
  table1.append(pairs);
  table2.append(routes);
  const hot = holders(place, app, { el, card, fill, table });
  const drawn = charts(place, app, [
    { title: "Threads waiting for the GIL (average)", unit: units.count, series: lines([["application", (p) => p.gil_wait - p.gil_wait_server], ["server", (p) => p.gil_wait_server], ["other threads", (p) => p.other_wait]]) },
    { title: "GIL waits per second", unit: units.rate, series: lines([["waits", (p) => p.gil_waits]]) },
    { title: "Length of a GIL wait", unit: seconds, series: lines([["p50", (p) => p.single_wait.p50], ["p95", (p) => p.single_wait.p95], ["p99", (p) => p.single_wait.p99]]) },
    { title: "GIL wait by process (average threads)", unit: units.count, series: perWorker("gil_wait") },
  ]);
  let shown = "";
  which.addEventListener("change", () => { shown = ""; app.load(); });
  interpreter.addEventListener("change", () => {
    app.state.application = interpreter.value === "*" ? null : interpreter.value;
    app.load();
  });
  return {
    needs: ["distribution"],
    close() { drawing.destroy(); drawn.close(); hot.close(); },
    restyle() { shown = ""; drawn.restyle(); },
    update(state) {
      const interval = groupOf(state).map(([, group]) => group.switch_interval).find((value) => value != null) ?? null;
      fill(note, exactness(state), ...returned(state));
      drawn.show(state);
      hot.update(state);
      const past = state.distribution;
      if (!past) return;
      const names = past.application_groups;
      if ([...interpreter.options].slice(1).map((o) => o.value).join("\n") !== names.join("\n")) {
        interpreter.length = 1;
        for (const name of names) interpreter.add(new Option(application(name), name));
        interpreter.value = state.application ?? "*";
      }
      const shape = past[which.value];
      fill(numbers, figures([
        ["waits", units.count(shape.count)], ["p50", seconds(shape.p50)], ["p90", seconds(shape.p90)], ["p95", seconds(shape.p95)],
        ["p99", seconds(shape.p99)], ["longest", seconds(shape.max)], ["switch interval", interval == null ? "–" : seconds(interval)],
        ["GIL wait per second", seconds(past.span ? past.gil_wait_seconds / past.span : 0)], ["requests", units.count(past.requests)],
      ]));
      const key = JSON.stringify([shape.count, shape.p50, interval, which.value, document.documentElement.dataset.theme]);
      if (key !== shown) {
        shown = key;
        drawing.show(shape, interval);
      }
      const per = (value) => `${seconds(past.span ? value / past.span : 0)}/s`;
      const waits = past.pairs.filter((pair) => pair.seconds > 0).slice(0, 15);
      fill(pairs, table([
        ["holder", (p) => p.culprit, "text"], ["waiter", (p) => p.victim, "text"],
        ["GIL wait", (p) => per(p.seconds), "number"], ["waits", (p) => p.waits, "number"],
      ], waits, "No GIL waits in this range.", "GIL waits by cause"));
      const named = Object.entries(past.routes).map(([name, sums]) => ({ name, ...sums }));
      named.sort((a, b) => b.caused - a.caused);
      fill(routes, table([
        ["route or thread", (r) => (r.thread ? `thread ${r.name}` : r.name), "text"], ["caused", (r) => per(r.caused), "number"],
        ["suffered", (r) => per(r.suffered), "number"], ["requests", (r) => r.requests, "number"],
        ["CPU / request", (r) => seconds(r.requests ? r.cpu / r.requests : null), "number"],
      ], named.slice(0, 20), "No routes in this range.", "GIL waits by route"));
    },
  };
}

function processes(place, app) {
  const notes = el("div", { class: "wide" });
  place.append(notes);
  const [one, two] = [el("div"), el("div")];
  card(place, "Processes", true).append(one);
  card(place, "Interpreters (application groups)", true).append(two);
  const drawn = charts(place, app, [
    { title: "Requests by process", unit: units.rate, series: perWorker("requests") },
    { title: "Busy threads by process (average)", unit: units.count, series: perWorker("busy") },
    { title: "Context switches", unit: units.rate, series: lines([["switches", (p) => p.switches]]) },
    { title: "Waiting for a CPU (average threads)", unit: units.count, series: lines([["all threads", (p) => p.run_delay], ["requests, without GIL waits", (p) => p.runnable]]) },
  ]);
  const slots = (worker) => {
    const serves = (slot) => slot.state !== "idle";
    const busy = (worker.slots ?? []).filter(serves).length;
    const row = el("span", { class: "slots", role: "img", "aria-label": `${busy} of ${worker.threads} threads busy` });
    (worker.slots ?? []).forEach((slot) => row.append(el("i", { class: serves(slot) ? "busy" : "", title: slot.request ?? slot.state })));
    return row;
  };
  return {
    ...drawn,
    update(state) {
      const limits = state.status.limits;
      const throttled = limits.throttled_seconds ? ` The control group was throttled for ${seconds(limits.throttled_seconds)} so far.` : "";
      const memory = limits.memory ? `, ${units.bytes(limits.memory)} of memory` : "";
      const intake = state.status.intake;
      if (intake) {
        const missing = intake.refused || intake.lost || intake.pushes_refused || intake.crowded;
        const text = `Received ${intake.datagrams} datagrams and ${intake.pushes} OTLP requests. Unreadable: ${intake.refused} of the datagrams, ${intake.pushes_refused} of the requests. Lost on the way: ${intake.lost} datagrams.`;
        fill(notes, el("p", { class: missing ? "warn" : "soft" }, text), exactness(state));
      } else fill(notes, el("p", { class: limits.throttled_seconds ? "warn" : "soft" }, `This server may use ${units.count(limits.cpus)} CPUs${memory}.${throttled}`), exactness(state), ...returned(state));
      const workers = workersOf(state);
      fill(one, table([
        ...(workers.some((w) => w.host) ? [["host", (w) => w.host ?? "–", "text"], ["instance", (w) => w.instance || "–", "text"], ["source", (w) => w.source]] : []),
        ["pid", (w) => w.pid || "–", "number"], ["group", (w) => w.process_group], ["Python", (w) => w.python ?? "–"],
        ["GIL", (w) => (w.gil_enabled === false ? "none" : w.gil_mode ?? "–")], ["switch interval", (w) => (w.switch_interval == null ? "–" : seconds(w.switch_interval)), "number"],
        ["threads", slots], ["in flight", (w) => w.in_flight, "number"], ["requests", (w) => units.rate(w.requests_now), "number"],
        ["CPU", (w) => units.count(w.cpu_now), "number"], ["memory", (w) => units.bytes(w.resident), "number"],
        ["GIL wait", (w) => units.count(w.gil_wait_now), "number"], ["requests, total", (w) => w.requests, "number"],
        ["uptime", (w) => seconds(w.uptime), "number"], ["import", (w) => seconds(w.import_seconds), "number"],
      ], workers, "No processes.", "Processes"));
      const rows = workers.flatMap((worker) => (worker.applications ?? []).map((one) => ({ pid: worker.pid, ...one })));
      fill(two, table([
        ["application group", (a) => application(a.application_group), "text"], ["pid", (a) => a.pid, "number"], ["GIL", (a) => a.gil_mode],
        ["switch interval", (a) => (a.switch_interval == null ? "–" : seconds(a.switch_interval)), "number"],
        ["requests", (a) => units.rate(a.requests_now), "number"], ["CPU", (a) => units.count(a.cpu_now), "number"],
        ["GIL wait", (a) => units.count(a.gil_wait_now), "number"], ["requests, total", (a) => a.requests, "number"],
        ["collections", (a) => a.gc.collections.join(" / "), "number"], ["GC pauses", (a) => seconds(a.gc.pause_seconds), "number"],
        ["longest pause", (a) => seconds(a.gc.longest_seconds), "number"], ["import", (a) => seconds(a.import_seconds), "number"],
      ], rows, "No interpreters.", "Interpreters"));
      drawn.show(state);
    },
  };
}

function requests(place, app) {
  const [running, slow, routes] = [el("div"), el("div"), el("div")];
  const shown = el("pre", { class: "stack", tabindex: "0", role: "status" });
  card(place, "In flight", true).append(running, shown);
  const slowest = card(place, "Slowest requests kept", true);
  slowest.append(splitKey(), slow);
  card(place, "Routes in the last minute", true).append(routes);
  const mine = (state) => (row) => !state.group || row.process_group === state.group;
  return {
    needs: ["requests"],
    update(state) {
      const now = state.requests;
      if (!now) return;
      const longest = now.in_flight.filter(mine(state)).sort((a, b) => b.seconds - a.seconds).slice(0, 200);
      fill(running, table([
        ["running for", (r) => seconds(r.seconds), "number"], ["request", (r) => `${r.method} ${r.path}`, "text"], ["application group", (r) => application(r.application_group)],
        ["pid", (r) => r.pid, "number"], ["thread", (r) => r.thread, "number"], ["CPU", (r) => seconds(r.cpu), "number"],
        ["GIL wait", (r) => seconds(r.gil_wait), "number"], ["waits", (r) => r.gil_waits, "number"], ["queue", (r) => seconds(r.queue), "number"],
        ["Python stack", (r) => stackButton(r, shown)],
      ], longest, "No requests in flight.", "Requests in flight"));
      fill(slow, table([
        ["response", (r) => seconds(r.response), "number"], ["request", (r) => `${r.method} ${r.path}`, "text"], ["status", (r) => r.status || "–", "number"],
        ["parts", split], ["CPU", (r) => seconds(r.cpu), "number"], ["GIL wait", (r) => seconds(r.gil_wait), "number"],
        ["blocked", (r) => seconds(r.blocked), "number"], ["queue", (r) => seconds(r.queue), "number"],
        ["longest GIL wait", (r) => (r.culprit ? `${seconds(r.longest_gil_wait)}, held by ${r.culprit}` : "–"), "text"],
        ["pid", (r) => r.pid, "number"], ["thread", (r) => r.thread, "number"], ["time", (r) => clock(r.start)],
      ], now.slowest.filter(mine(state)).slice(0, 50), "No requests yet.", "Slowest requests"));
      const rows = Object.entries(now.routes).filter(([, sums]) => sums.requests).map(([name, sums]) => ({ name, ...sums }));
      rows.sort((a, b) => b.response - a.response);
      const each = (value, row) => seconds(row.requests ? value / row.requests : null);
      fill(routes, table([
        ["route", (r) => r.name, "text"], ["requests", (r) => units.rate(now.window ? r.requests / now.window : 0), "number"],
        ["errors", (r) => r.errors, "number"], ["response", (r) => each(r.response, r), "number"], ["CPU", (r) => each(r.cpu, r), "number"],
        ["GIL wait", (r) => each(r.gil_wait, r), "number"], ["blocked", (r) => each(r.blocked, r), "number"],
        ["GIL wait caused", (r) => seconds(now.window ? r.caused / now.window : 0) + "/s", "number"],
      ], rows, "No requests in the last minute.", "Routes"));
    },
  };
}

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

function events(place, app) {
  const list = el("div");
  card(place, "Events", true).append(list);
  const BAD = ["worker_crashed", "worker_gone", "worker_failed", "reload_refused", "gil_returned", "process_silent", "deadly_route", "certificates_refused", "certificate_expires"];
  return {
    needs: ["events"],
    update(state) {
      const all = [...(state.latest ?? []), ...state.events];
      const seen = new Set();
      const fresh = all.filter((event) => {
        const key = `${event.at} ${event.what} ${event.worker}`;
        return seen.has(key) ? false : seen.add(key);
      });
      fresh.sort((a, b) => b.at - a.at);
      const text = (event) => {
        const parts = [el("div", { class: BAD.includes(event.what) ? "bad" : "" }, event.text)];
        for (const request of event.requests ?? []) {
          parts.push(el("div", {}, `request in flight: ${request.method} ${request.path} for ${seconds(request.seconds)} in thread ${request.thread}`));
        }
        return el("div", {}, ...parts);
      };
      fill(list, table([
        ["time", (e) => clock(e.at)], ["event", (e) => e.what.replaceAll("_", " ")], ["group", (e) => e.process_group ?? "–"],
        ["pid", (e) => e.pid ?? "–", "number"], ["reason", (e) => (e.reason ?? "–").replaceAll("_", " ")], ["details", text, "text"],
      ], fresh.slice(0, 300), "No events yet.", "Events"));
    },
  };
}

export const pages = { overview, gil, processes, requests, events };
