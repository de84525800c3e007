// The page Routes, and the page of one route: its charts, its slowest requests, who made it wait and whom it made wait.
import { card, el, field, figures, fill, table } from "/dom.js";
import { routeLink, seconds, shareOf } from "/figures.js";
import { FINISHED, inFlight, stackPlace } from "/requests.js";
import { charts } from "/series.js";
import { units } from "/units.js";

const number = (name, get, shown, colour) => ({ name, cell: (row) => shown(get(row)), kind: "number", by: get, colour });
const each = (key) => (route) => (route.requests ? route[key] / route.requests : null);
const failing = (route) => (route.errors ? "bad" : "");

// The routes of the range, with the figures that depend on all of them.
function routesOf(past) {
  const rows = Object.entries(past.routes).filter(([, sums]) => sums.requests).map(([name, sums]) => ({ name, ...sums, span: past.span }));
  const whole = rows.reduce((sum, route) => sum + route.response, 0);
  return rows.map((route) => ({ ...route, share: shareOf(route.response, whole) }));
}

export const ROUTES = [
  { name: "route", cell: (r) => routeLink(r.name), kind: "text", by: (r) => r.name },
  number("requests", (r) => shareOf(r.requests, r.span), units.rate), number("5xx", (r) => shareOf(r.errors, r.requests), units.share, failing),
  number("p50", (r) => r.p50, seconds), number("p95", (r) => r.p95, seconds), number("p99", (r) => r.p99, seconds),
  number("share of time", (r) => r.share, units.share), number("CPU", each("cpu"), seconds), number("GIL wait", each("gil_wait"), seconds),
  number("blocked", each("blocked"), seconds), number("GIL wait caused", (r) => shareOf(r.caused, r.span), (value) => `${seconds(value)}/s`),
];

export function routes(place, app) {
  const list = el("div");
  let wanted = "";
  const box = card(place, "Routes in this range", true);
  box.append(el("div", { class: "filters" }, field("Path", wanted, (value) => { wanted = value; app.again(); }, "part of it")), list,
    el("p", { class: "soft" }, "5xx: requests with such a status, or that an exception left. Share of time: of the time that all requests of these routes took. The busiest routes are kept; a name stands for all paths that differ in identifiers."));
  return {
    needs: ["distribution"],
    update(state) {
      if (!state.distribution) return;
      const rows = routesOf(state.distribution).filter((route) => route.name.includes(wanted));
      fill(list, table("Routes", ROUTES, rows, wanted ? "No route in this range fits." : "No requests in this range.", { order: { column: 6, rising: false }, again: app.again }));
    },
  };
}

const line = (label, get, colour) => ({ label, colour, get: (row) => (row.route ? get(row.route) : null) });

export function route(place, app) {
  const { argument: name } = app.state;
  const top = el("div", { class: "wide" });
  place.append(top);
  const drawn = charts(place, app, [
    { title: "Requests of the route", unit: units.rate, series: () => [line("requests", (r) => r.requests, "--c1"), line("5xx", (r) => r.errors, "--bad")] },
    { title: "Response time of the route", unit: seconds, series: () => [line("p50", (r) => r.p50, "--c1"), line("p95", (r) => r.p95, "--warn"), line("p99", (r) => r.p99, "--bad")] },
    { title: "Where a request of it spends its time", unit: seconds, stacked: true, series: () => [line("on CPU", (r) => r.cpu), line("GIL wait", (r) => r.gil_wait), line("blocked", (r) => r.blocked)] },
    { title: "GIL wait (threads)", unit: units.count, series: () => [line("it waited", (r) => r.suffered), line("it made others wait", (r) => r.caused)] },
  ]);
  const [running, slow, pairs] = [el("div"), el("div"), el("div")];
  const shown = stackPlace();
  card(place, "In flight", true).append(running, shown);
  card(place, "Slowest requests kept in this range", true).append(slow);
  card(place, "Who waited for whom", true).append(pairs);
  return {
    ...drawn,
    ofRoute: true,
    needs: ["distribution", "requests"],
    update(state) {
      drawn.show(state);
      const past = state.distribution;
      if (past) {
        const mine = routesOf(past).find((route) => route.name === name);
        const of = (get, shown) => shown(mine ? get(mine) : null);
        fill(top, el("section", { class: "card", "aria-label": `route ${name}` },
          el("h2", {}, name), el("p", { class: "soft" }, el("a", { href: "#routes" }, "All routes"), mine ? " · this range" : " · no requests in this range"),
          figures([
            ["requests", of((r) => shareOf(r.requests, r.span), units.rate)], ["5xx", of((r) => shareOf(r.errors, r.requests), units.share), mine ? failing(mine) : ""],
            ["p50", of((r) => r.p50, seconds)], ["p95", of((r) => r.p95, seconds)], ["p99", of((r) => r.p99, seconds)],
            ["CPU", of(each("cpu"), seconds)], ["GIL wait", of(each("gil_wait"), seconds)], ["blocked", of(each("blocked"), seconds)],
            ["share of time", of((r) => r.share, units.share)],
          ])));
        const per = (value) => `${seconds(shareOf(value, past.span))}/s`;
        const here = past.pairs.filter((pair) => pair.culprit === name || pair.victim === name);
        fill(pairs, table("Who waited for whom", [
          { name: "holder", cell: (p) => p.culprit, kind: "text" }, { name: "waiter", cell: (p) => p.victim, kind: "text" },
          number("GIL wait", (p) => p.seconds, per), number("waits", (p) => p.waits, (value) => value),
        ], here, "It waited for nobody and made nobody wait for the GIL in this range.", { order: { column: 2, rising: false }, again: app.again }));
      }
      const now = state.requests;
      if (!now) return;
      fill(running, table("Requests in flight", inFlight(shown), now.in_flight, "No requests in flight.", { order: { column: 0, rising: false }, again: app.again }));
      fill(slow, table("Slowest requests", FINISHED, now.slowest, "No requests in this range.", { order: { column: 0, rising: false }, most: 30, again: app.again }));
    },
  };
}
