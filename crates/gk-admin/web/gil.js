// The page GIL: how long single waits are, who made whom wait.
import { Distribution } from "/charts.js";
import { card, el, figures, fill, table } from "/dom.js";
import { LOCKS, application, exactness, groupsOf, locks, locksKnown, returned, routeLink, seconds } from "/figures.js";
import { holders } from "/holders.js";
import { charts, lines, perWorker, percentiles } from "/series.js";
import { units } from "/units.js";

export function gil(place, app) {
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
  const hot = holders(place, app);
  const drawn = charts(place, app, [
    { title: "Threads waiting for the GIL (average)", unit: units.count, series: lines([["application", (p) => p.gil_wait - p.gil_wait_server], ["server", (p) => p.gil_wait_server], ["other threads", (p) => p.other_wait]]) },
    { title: "GIL waits per second", unit: units.rate, series: lines([["waits", (p) => p.gil_waits]]) },
    { title: "Length of a GIL wait", unit: seconds, series: percentiles((p) => p.single_wait) },
    { title: "Threads waiting for locks, without a GIL (average)", unit: units.count, stacked: true, when: locksKnown, series: lines(LOCKS.map(([name, key]) => [name, (p) => p[key] ?? 0])) },
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
      const interval = groupsOf(state).map(([, group]) => group.switch_interval).find((value) => value != null) ?? null;
      fill(note, exactness(state), locks(state), ...returned(state));
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
      fill(pairs, table("GIL waits by cause", [
        { name: "holder", cell: (p) => p.culprit, kind: "text", by: (p) => p.culprit }, { name: "waiter", cell: (p) => p.victim, kind: "text", by: (p) => p.victim },
        { name: "GIL wait", cell: (p) => per(p.seconds), kind: "number", by: (p) => p.seconds }, { name: "waits", cell: (p) => p.waits, kind: "number", by: (p) => p.waits },
      ], waits, "No GIL waits in this range.", { again: app.again }));
      const named = Object.entries(past.routes).map(([name, sums]) => ({ name, ...sums }));
      fill(routes, table("GIL waits by route", [
        { name: "route or thread", cell: (r) => (r.thread ? `thread ${r.name.replace(/^thread /, "")}` : routeLink(r.name)), kind: "text", by: (r) => r.name },
        { name: "caused", cell: (r) => per(r.caused), kind: "number", by: (r) => r.caused },
        { name: "suffered", cell: (r) => per(r.suffered), kind: "number", by: (r) => r.suffered },
        { name: "requests", cell: (r) => r.requests, kind: "number", by: (r) => r.requests },
        { name: "CPU / request", cell: (r) => seconds(r.requests ? r.cpu / r.requests : null), kind: "number", by: (r) => (r.requests ? r.cpu / r.requests : null) },
      ], named, "No routes in this range.", { order: { column: 1, rising: false }, again: app.again }));
    },
  };
}
