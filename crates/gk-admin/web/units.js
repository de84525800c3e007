// Numbers and times as text. "–" means that a value is not known or that there is none, 0 that it is zero.

const round = (value, digits) => Number(value.toFixed(digits)).toString();
export { round };

// `more`: digits beyond the usual ones, for axes whose labels would be equal.
export const units = {
  seconds(value, more = 0) {
    if (value == null) return "–";
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size < 1e-3) return `${round(value * 1e6, more)} µs`;
    if (size < 1) return `${round(value * 1e3, (size < 0.01 ? 2 : size < 0.1 ? 1 : 0) + more)} ms`;
    return `${round(value, 2 + more)} s`;
  },
  bytes(value, more = 0) {
    if (value == null) return "–";
    for (const [name, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
      if (Math.abs(value) >= size) return `${round(value / size, 1 + more)} ${name}`;
    }
    return `${round(value, more)} B`;
  },
  rate: (value, more = 0) => (value == null ? "–" : `${round(value, (value < 10 ? 2 : 0) + more)}/s`),
  count: (value, more = 0) => (value == null ? "–" : round(value, (value < 10 ? 2 : value < 100 ? 1 : 0) + more)),
  // Few are not none.
  share(value, more = 0) {
    if (value == null) return "–";
    const percent = value * 100;
    if (percent > 0 && percent < 0.1) return more ? `${round(percent, 2 + more)} %` : "<0.1 %";
    return `${round(percent, (percent < 10 ? 1 : 0) + more)} %`;
  },
};

// Labels of an axis, with as many digits as they need to differ.
export function labels(ticks, unit) {
  const said = (more) => ticks.map((tick) => (tick == null ? "" : unit(tick, more)));
  for (let more = 0; more < 5; more++) {
    const all = said(more).filter((text) => text !== "");
    if (new Set(all).size === all.length) return said(more);
  }
  return said(0);
}

const two = (number) => String(number).padStart(2, "0");
const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const minute = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;

// Date and time of day, with 24 hours.
export function clock(t) {
  if (t == null) return "";
  const at = new Date(t * 1000);
  return `${day(at)} ${minute(at)}:${two(at.getSeconds())}`;
}

// The time of day alone, where the day is clear.
export const moment = (t) => (t != null && Math.abs(Date.now() / 1000 - t) < 72_000 ? clock(t).slice(11) : clock(t));

// Labels of a time axis. `step`: seconds between two of them.
export function hours(ticks, step) {
  const long = ticks.length > 1 && ticks.at(-1) - ticks[0] > 72_000;
  return ticks.map((t) => {
    const at = new Date(t * 1000);
    if (step >= 86_400) return day(at);
    if (long) return `${two(at.getMonth() + 1)}-${two(at.getDate())} ${minute(at)}`;
    return step < 60 ? `${minute(at)}:${two(at.getSeconds())}` : minute(at);
  });
}
