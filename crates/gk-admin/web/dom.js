// Elements of the pages: cards, tables that are sorted by a click, figures. Strings become text, so nothing from a request can become
// markup.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name === "class") node.className = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

export function card(place, title, wide = false) {
  const box = el("section", { class: wide ? "card wide" : "card", "aria-label": title }, el("h2", {}, title));
  place.append(box);
  return box;
}

// Replaces the contents, unless the user has selected text in them. What has the focus, and how far tables are scrolled, stays.
export function fill(place, ...nodes) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && place.contains(selection.anchorNode)) return;
  const focus = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scrolled = [...place.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
  place.replaceChildren(...nodes.filter((node) => node != null));
  place.querySelectorAll(".scroll").forEach((one, index) => {
    if (scrolled[index]) [one.scrollLeft, one.scrollTop] = scrolled[index];
  });
  if (focus) [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focus)?.focus({ preventScroll: true });
}

export const figures = (pairs) => el("dl", { class: "figures" }, ...pairs.map(([name, value, kind]) => el("div", {}, el("dt", {}, name), el("dd", { class: kind }, value))));

// The order of each table that the user has sorted: name → {column, rising}.
const orders = new Map();

function compare(a, b) {
  if (a == null || b == null) return (a == null) - (b == null);
  return typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b)) : a - b;
}

// `columns`: {name, cell(row), kind, by(row)}; kind "number" or "text"; with `by`, what the table is sorted by. `order`: the order before
// the user chooses one. Unknown values come last in both orders.
export function table(label, columns, rows, empty, { order, most = 300, again } = {}) {
  if (!rows.length) return el("p", { class: "soft" }, empty);
  const chosen = orders.get(label) ?? order;
  const by = chosen && columns[chosen.column]?.by;
  if (by) {
    rows = [...rows].sort((x, y) => {
      const [a, b] = [by(x), by(y)];
      return a == null || b == null || chosen.rising ? compare(a, b) : -compare(a, b);
    });
  }
  const head = columns.map(({ name, kind, by: sorted }, column) => {
    if (!sorted) return el("th", { scope: "col", class: kind }, name);
    const mine = chosen?.column === column;
    const sign = mine ? (chosen.rising ? " ▲" : " ▼") : "";
    const button = el("button", { type: "button", class: "sort", "data-key": `${label}/${name}` }, name + sign);
    button.addEventListener("click", () => {
      orders.set(label, { column, rising: mine ? !chosen.rising : kind !== "number" });
      again?.();
    });
    return el("th", { scope: "col", class: kind, "aria-sort": mine ? (chosen.rising ? "ascending" : "descending") : null }, button);
  });
  const line = (row) => el("tr", {}, ...columns.map(({ cell, kind, colour }) => el("td", { class: [kind, colour?.(row)].filter(Boolean).join(" ") }, cell(row))));
  const whole = el("table", {}, el("caption", { class: "hidden" }, label), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows.slice(0, most).map(line)));
  const more = rows.length > most ? el("p", { class: "soft" }, `${rows.length - most} more rows are not shown.`) : null;
  return el("div", {}, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label, "data-key": label }, whole), more);
}

// A field that filters; `take` gets its value when the user pauses.
export function field(label, value, take, hint = "") {
  const input = el("input", { type: "search", value, placeholder: hint, "aria-label": label, autocomplete: "off" });
  let timer = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => take(input.value.trim()), 250);
  });
  return el("label", {}, `${label} `, input);
}

// A text with line breaks as it is printed.
export const printed = (text) => el("pre", { class: "stack", tabindex: "0" }, text);
