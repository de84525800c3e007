// The heat map of response times: how many answers took how long, over time, on a logarithmic axis, with percentiles as lines.
import { TimeChart, css } from "/charts.js";
import { units } from "/units.js";

// Cell 0 is below 1.024 µs; four cells follow in each doubling.
const LOWEST = 1.024e-6;

export function edge(cell) {
  if (cell <= 0) return LOWEST / 2;
  const [octave, quarter] = [(cell - 1) >> 2, (cell - 1) & 3];
  return LOWEST * 2 ** octave * (1 + quarter / 4);
}

// The ends of the axis: whole decades around everything that is there.
function ends(rows) {
  let [low, high] = [Infinity, 0];
  for (const row of rows ?? []) {
    for (const [cell] of row.heat ?? []) {
      low = Math.min(low, edge(cell));
      high = Math.max(high, edge(cell + 1));
    }
  }
  if (!high) return [1e-3, 1];
  const [from, to] = [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high))];
  return from === to ? [from, to * 10] : [from, to];
}

function cells(chart, step) {
  return {
    hooks: {
      drawClear(u) {
        const rows = chart.rows ?? [];
        const most = Math.max(1, ...rows.flatMap((row) => (row.heat ?? []).map(([, count]) => count)));
        const { ctx, bbox } = u;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        ctx.fillStyle = css("--heat");
        rows.forEach((row, at) => {
          const before = rows[at - 1];
          const width = before ? Math.min(row.t - before.t, step()) : step();
          const [left, right] = [u.valToPos(row.t - width, "x", true), u.valToPos(row.t, "x", true)];
          for (const [cell, count] of row.heat ?? []) {
            // Few among many must be seen, too.
            ctx.globalAlpha = 0.18 + 0.82 * (Math.log1p(count) / Math.log1p(most));
            const [top, bottom] = [u.valToPos(edge(cell + 1), "y", true), u.valToPos(edge(cell), "y", true)];
            ctx.fillRect(left, top, Math.max(right - left, 2 * devicePixelRatio), Math.max(bottom - top, 2 * devicePixelRatio));
          }
        });
        ctx.restore();
      },
    },
  };
}

// `time(point)` gives the percentiles of a row.
export function heatMap(place, { title, time, zoom, events, step }) {
  const line = (label, key, colour) => ({ label, colour, get: (row) => (row.point ? time(row.point)[key] : null) });
  return new TimeChart(place, {
    title, zoom, events, ends,
    height: 260,
    log: true,
    unit: units.seconds,
    plugin: (chart) => cells(chart, step),
    series: () => [line("p50", "p50", "--text"), line("p95", "p95", "--warn"), line("p99", "p99", "--bad")],
  });
}
