// The dashboard: state, the stream of present figures, the history, routing. The pages are in pages.js, the charts in charts.js.
// Text from requests is always set as text, never as markup.
import { pages } from "/pages.js";
import { ofOtherServers } from "/figures.js";
import { clock } from "/units.js";

const byId = (id) => document.getElementById(id);

export const state = {
  group: "",
  seconds: 300, // length of the range while live
  zoom: null, // {from, to} of a past range
  paused: false,
  status: null,
  requests: null,
  distribution: null, // the range as one
  filter: { path: "", status: "", id: "" }, // of requests
  argument: null, // of the page: the route
  rows: [], // {t, point, heat, workers, route}
  events: [],
  step: 1,
};

let page = null;
let loads = 0;

const api = async (path) => {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
};

const groupQuery = () => (state.group ? `&process_group=${encodeURIComponent(state.group)}` : "");

// Adds an empty row where nothing was recorded, so that the lines have a gap there.
function withGaps(rows, step) {
  const whole = [];
  for (const row of rows) {
    const last = whole.at(-1);
    if (last && row.t - last.t > 2.5 * step + 2) whole.push({ t: last.t + step, point: null, heat: [], workers: {} });
    whole.push(row);
  }
  return whole;
}

export function range() {
  if (state.zoom) return state.zoom;
  const to = state.status?.t ?? Date.now() / 1000;
  return { from: to - state.seconds, to };
}

// === history ===

let reading = 0; // readings of the history under way

export async function load() {
  const mine = ++loads;
  reading += 1;
  const { from, to } = range();
  try {
    const route = page?.ofRoute ? `&route=${encodeURIComponent(state.argument)}` : "";
    const past = await api(`/api/v1/history?from=${from}&to=${to}&step=${Math.max(1, (to - from) / 600)}${groupQuery()}${route}`);
    if (mine !== loads) return;
    state.step = past.step;
    state.rows = withGaps(past.points, past.step);
    state.events = past.events;
  } catch (error) {
    if (mine === loads) say(`history: ${error.message}`, true);
  } finally {
    reading -= 1;
  }
  await loadMore(true);
  draw();
}

// Seconds between two readings of a range: a long one costs more and changes less.
const pause = () => Math.max(5, Math.min(30, (range().to - range().from) / 60));
let ranged = 0;
// One at a time: a machine that is slow to answer must not get more of them.
let pending = false;

// Loads the figures that only the present page needs.
async function loadMore(whole = false) {
  const { from, to } = range();
  const needs = page?.needs ?? [];
  const wanted = [];
  const now = Date.now() / 1000;
  state.refused = !(/^([1-5]\d\d|[1-5]xx)?$/.test(state.filter.status) && /^\d*$/.test(state.filter.id));
  if (needs.includes("requests") && !state.refused) {
    const given = { ...state.filter, route: page?.ofRoute ? state.argument : "", from, to: to + 1 };
    const query = Object.entries(given).filter(([, value]) => value !== "" && value != null).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`);
    wanted.push(api(`/api/v1/requests?${groupQuery()}${query.join("")}`).then((value) => (state.requests = value)));
  }
  if (whole) ranged = 0;
  if (needs.includes("distribution") && !pending && now - ranged > pause()) {
    [ranged, pending] = [now, true];
    const application = state.application == null ? "" : `&application_group=${encodeURIComponent(state.application)}`;
    const path = `/api/v1/distribution?from=${from}&to=${to}${groupQuery()}${application}`;
    wanted.push(api(path).then((value) => (state.distribution = value)).finally(() => (pending = false)));
  }
  await Promise.allSettled(wanted);
}

// === live figures ===

function take(status) {
  if (state.paused) return;
  state.status = status;
  ofOtherServers(status.intake != null);
  // Also those without a process.
  offerGroups([...new Set([...Object.keys(status.groups), ...Object.keys(status.queues ?? {})])].sort());
  const shown = state.group ? status.groups[state.group]?.point : status.total;
  const heat = state.group ? status.groups[state.group]?.heat : status.heat;
  if (!state.zoom && state.step <= 1 && !page?.ofRoute) {
    const workers = {};
    for (const worker of status.workers) {
      if (state.group && worker.process_group !== state.group) continue;
      workers[worker.name ?? worker.pid] = {
        requests: worker.requests_now, busy: worker.busy_now, cpu: worker.cpu_now,
        resident: worker.resident, gil_wait: worker.gil_wait_now,
      };
    }
    if (!state.rows.length || status.t - state.rows.at(-1).t > 0.4) state.rows.push({ t: status.t, point: shown ?? null, heat: heat ?? [], workers });
    const oldest = status.t - state.seconds;
    while (state.rows.length && state.rows[0].t < oldest) state.rows.shift();
  } else if (!state.zoom && status.t - (state.loaded ?? 0) > Math.max(page?.ofRoute ? 3 : 5, state.step) && !reading) {
    state.loaded = status.t;
    load();
    return;
  }
  draw();
  // What comes later must not move a page that stands still.
  loadMore().then(() => state.paused || draw());
}

function offerGroups(names) {
  const select = byId("group");
  const there = [...select.options].slice(1).map((option) => option.value);
  if (names.join("\n") === there.join("\n")) return;
  select.length = 1;
  for (const name of names) select.add(new Option(name, name));
  select.value = names.includes(state.group) ? state.group : "";
  state.group = select.value;
}

let stream = null;
function connect() {
  stream?.close();
  stream = new EventSource("/api/v1/stream");
  stream.addEventListener("open", () => say("live"));
  stream.addEventListener("error", () => say("no connection", true));
  stream.addEventListener("tick", (message) => {
    if (!state.paused) say(state.zoom ? "live, showing a past range" : "live");
    take(JSON.parse(message.data));
  });
  stream.addEventListener("happened", (message) => {
    if (state.paused) return;
    state.events.push(JSON.parse(message.data));
    draw();
  });
}

function say(text, bad = false) {
  const place = byId("connection");
  if (place.textContent !== text) place.textContent = text;
  place.classList.toggle("off", bad);
}

// === pages ===

function draw() {
  if (page && state.status) page.update(state);
}

function route() {
  const [first, ...rest] = location.hash.slice(1).split("/");
  const name = Object.hasOwn(pages, first) ? first : "overview";
  const was = page?.ofRoute;
  state.argument = rest.length ? decoded(rest.join("/")) : null;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name === "route" ? "routes" : name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  page?.close?.();
  const main = byId("main");
  main.replaceChildren();
  state.requests = null;
  page = pages[name](main, { zoom, load, range, state, again: draw });
  document.title = `Gilkeeper: ${page.ofRoute ? state.argument : name}`;
  draw();
  // The rows of a route are its own.
  if (was || page.ofRoute) load();
  else loadMore(true).then(draw);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function zoom(from, to) {
  state.zoom = from == null ? null : { from, to };
  byId("back").hidden = !state.zoom;
  load();
}

byId("group").addEventListener("change", (event) => {
  state.group = event.target.value;
  load();
});
byId("range").addEventListener("change", (event) => {
  state.seconds = Number(event.target.value);
  zoom(null, null);
});
byId("back").addEventListener("click", () => zoom(null, null));
byId("pause").addEventListener("click", (event) => {
  state.paused = !state.paused;
  event.target.setAttribute("aria-pressed", String(state.paused));
  event.target.textContent = state.paused ? "Continue" : "Pause";
  if (state.paused) say(`paused at ${clock(state.status?.t)}`);
  else load();
});

const wanted = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
document.documentElement.dataset.theme = wanted;
byId("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  page?.restyle?.();
  draw();
});

// === export ===

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const stamp = () => new Date().toISOString().replaceAll(":", "-").slice(0, 19);

byId("json").addEventListener("click", async () => {
  const { from, to } = range();
  const [requests, distribution] = await Promise.all([
    api(`/api/v1/requests?${groupQuery()}`), api(`/api/v1/distribution?from=${from}&to=${to}${groupQuery()}`),
  ]);
  const { status, rows, events, step } = state;
  const all = { from, to, step, group: state.group || null, status, points: rows, events, requests, distribution };
  save(`gilkeeper-${stamp()}.json`, new Blob([JSON.stringify(all, null, 1)], { type: "application/json" }));
});

byId("png").addEventListener("click", () => {
  const charts = [...document.querySelectorAll("main canvas")];
  if (!charts.length) return say("this page has no charts to export");
  const style = getComputedStyle(document.documentElement);
  const width = Math.max(...charts.map((chart) => chart.width));
  const height = charts.reduce((sum, chart) => sum + chart.height + 40, 0);
  const whole = Object.assign(document.createElement("canvas"), { width, height });
  const pen = whole.getContext("2d");
  pen.fillStyle = style.getPropertyValue("--card");
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = style.getPropertyValue("--text");
  pen.font = "20px system-ui";
  let y = 0;
  for (const chart of charts) {
    pen.fillText(chart.closest(".card").querySelector("h2")?.textContent ?? "", 10, y + 28);
    pen.drawImage(chart, 0, y + 40);
    y += chart.height + 40;
  }
  whole.toBlob((blob) => save(`gilkeeper-${stamp()}.png`, blob));
});

addEventListener("hashchange", route);
route();
load();
connect();
