// Hot holders: where in the applications the GIL was held while others waited, as a picture and as a table. A picture of three rows:
// routes, their functions, their lines; each as wide as the time that others waited for it.
import { card, el, fill, table } from "/dom.js";
import { units } from "/units.js";

const EVERY = 5000;
const DEPTHS = [
  (one) => one.route,
  (one) => one.function,
  (one) => (one.file ? `${one.file.split("/").pop()}:${one.line}` : "–"),
];

const number = (name, get, shown) => ({ name, cell: (holder) => shown(get(holder)), kind: "number", by: get });
const line = (holder) => (holder.file ? `${holder.file}:${holder.line}` : "–");

const COLUMNS = [
  number("share", (h) => h.share, units.share), number("made others wait", (h) => h.seconds, units.seconds),
  number("waits", (h) => h.waits, (value) => value), number("longest", (h) => h.longest, units.seconds),
  { name: "function", cell: (h) => h.function, kind: "text", by: (h) => h.function }, { name: "line", cell: line, kind: "text", by: line },
  { name: "route or thread", cell: (h) => h.route, kind: "text", by: (h) => h.route },
];

export function holders(place, app) {
  const box = card(place, "Hot holders: lines that held the GIL while others waited", true);
  const [note, picture, rows] = [el("div"), el("div", { class: "holders" }), el("div")];
  box.append(note, picture, rows);
  let [asked, shown, closed] = [0, "", false];

  async function load(state) {
    const { from, to } = app.range();
    const query = new URLSearchParams({ from: from.toFixed(1), to: to.toFixed(1) });
    if (state.group) query.set("process_group", state.group);
    const key = `${state.group} ${Math.round(to - from)}`;
    if (Date.now() - asked < EVERY && key === shown) return;
    [asked, shown] = [Date.now(), key];
    const response = await fetch(`/api/v1/holders?${query}`, { headers: { Accept: "application/json" } }).catch(() => null);
    if (response?.ok && !closed) show(await response.json());
  }

  function show(past) {
    const all = past.holders;
    const text = all.length
      ? `Waits of ${units.seconds(past.seconds)} in this range are booked to lines; all waits together: ${units.seconds(past.gil_wait_seconds)}.`
      : "No wait for the GIL was booked to a line in this range.";
    fill(note, el("p", { class: "soft" }, text));
    fill(picture, ...(all.length ? bars(all, 0) : []));
    fill(rows, table("Hot holders", COLUMNS, all, "No hot holders in this range.", { order: { column: 1, rising: false }, again: () => show(past) }));
  }

  // The bars of one depth, each above those of the next one.
  function bars(all, depth) {
    const groups = new Map();
    for (const one of all) {
      const name = DEPTHS[depth](one);
      groups.set(name, [...(groups.get(name) ?? []), one]);
    }
    const sum = (list) => list.reduce((total, one) => total + one.seconds, 0);
    const sorted = [...groups].map(([name, list]) => [name, list, sum(list)]).sort((a, b) => b[2] - a[2]);
    return sorted.map(([name, list, seconds]) => {
      const title = `${name}: ${units.seconds(seconds)}`;
      const bar = el("div", { class: `bar d${depth + 1}`, title }, name);
      const inner = depth + 1 < DEPTHS.length ? el("div", { class: "below" }, ...bars(list, depth + 1)) : null;
      const column = el("div", { class: "column" }, bar, inner);
      // Sums below 1 would leave a part of the width empty.
      column.style.flexGrow = String(Math.max(seconds * 1e9, 1));
      return column;
    });
  }

  return { update: (state) => void load(state), close: () => { closed = true; } };
}
