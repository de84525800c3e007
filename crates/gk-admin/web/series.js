// The charts of a page, and the lines in them.
import { TimeChart } from "/charts.js";
import { heatMap } from "/heat.js";
import { card } from "/dom.js";

// `list`: the options of each chart; `heat` makes a heat map of it; one with `when` comes once that is true of the state.
export function charts(place, app, list) {
  const make = (one) => {
    const options = { ...one, zoom: app.zoom, events: () => app.state.events, step: () => Math.max(1, app.state.step) };
    const box = card(one.place ?? place, one.title, one.wide);
    return one.heat ? heatMap(box, options) : new TimeChart(box, options);
  };
  const made = list.filter((one) => !one.when).map(make);
  let later = list.filter((one) => one.when);
  const show = (state) => {
    const { from, to } = app.range();
    const now = later.filter((one) => one.when(state));
    later = later.filter((one) => !now.includes(one));
    made.push(...now.map(make));
    made.forEach((chart) => chart.show(state.rows, from, to));
  };
  return {
    show,
    close: () => made.forEach((chart) => chart.destroy()),
    restyle: () => made.forEach((chart) => chart.restyle()),
  };
}

// `triples`: label, value of a row's point, and the colour's name where colours mean something.
export const lines = (triples) => () => triples.map(([label, get, colour]) => ({ label, colour, get: (row) => (row.point ? get(row.point) : null) }));

export const percentiles = (get) => lines([["p50", (p) => get(p).p50, "--c1"], ["p95", (p) => get(p).p95, "--warn"], ["p99", (p) => get(p).p99, "--bad"]]);

// One line per process.
export const perWorker = (key) => (rows) => {
  const sums = new Map();
  for (const row of rows) {
    for (const [pid, worker] of Object.entries(row.workers)) sums.set(pid, (sums.get(pid) ?? 0) + (worker[key] ?? 0));
  }
  // At most 16 lines, or the chart is unreadable: the processes with the largest sums, in the order of their first appearance.
  const most = new Set([...sums].sort((a, b) => b[1] - a[1]).slice(0, 16).map(([pid]) => pid));
  return [...sums.keys()].filter((pid) => most.has(pid)).map((pid) => ({ label: /^\d+$/.test(pid) ? `pid ${pid}` : pid, get: (row) => row.workers[pid]?.[key] ?? null }));
};
