// Charts over time and the distribution of waits, drawn by uPlot: axes with units, values on hover, zoom by dragging, event
// markers, keyboard access. Data comes in seconds and bytes; units.js formats it.
import uPlot from "/uplot.js";
import { clock, hours, labels, moment, round, units } from "/units.js";

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const colour = (index) => css(`--c${(index % 8) + 1}`);
// The colour of a series: its own, where colours mean something, or the next one.
const colourOf = (one, index) => (one.colour ? css(one.colour) : colour(index));

// === markers ===

const MARKED = {
  worker_crashed: "--bad", reload_refused: "--bad", gil_returned: "--bad", worker_failed: "--bad", process_silent: "--bad", deadly_route: "--bad", certificates_refused: "--bad", certificate_expires: "--bad",
  exception_raised: "--warn", reload_done: "--good", front_started: "--warn", worker_left: "--soft",
};

function markers(events, near) {
  const shown = () => events().filter((event) => event.what in MARKED);
  return {
    hooks: {
      draw(u) {
        const { ctx } = u;
        ctx.save();
        ctx.setLineDash([4, 4]);
        for (const event of shown()) {
          const x = Math.round(u.valToPos(event.at, "x", true));
          if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
          ctx.strokeStyle = ctx.fillStyle = css(MARKED[event.what]);
          ctx.beginPath();
          ctx.moveTo(x, u.bbox.top);
          ctx.lineTo(x, u.bbox.top + u.bbox.height);
          ctx.stroke();
          ctx.beginPath();
          ctx.moveTo(x - 6, u.bbox.top);
          ctx.lineTo(x + 6, u.bbox.top);
          ctx.lineTo(x, u.bbox.top + 9);
          ctx.fill();
        }
        ctx.restore();
      },
      setCursor(u) {
        const left = u.cursor.left;
        const close = left < 0 ? [] : shown().filter((event) => Math.abs(u.valToPos(event.at, "x") - left) < 8);
        near.textContent = close.map((event) => event.text.split("\n")[0]).join(" · ");
      },
    },
  };
}

// === charts over time ===

// Values between two gaps, which a line does not show.
function isolated(values) {
  const alone = [];
  values.forEach((value, at) => {
    if (value != null && values[at - 1] == null && values[at + 1] == null) alone.push(at);
  });
  return alone.length ? alone : null;
}

// Of a logarithmic axis, the powers of ten.
const tens = (u, ticks) => ticks.map((tick) => (Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-6 ? tick : null));

// `options.series(rows)` gives [{label, get(row), colour}]; `stacked` draws them on top of each other; with `log` the axis is
// logarithmic, from `options.ends(rows)`; `options.plugin(chart)` draws below the lines.
export class TimeChart {
  constructor(place, options) {
    this.options = options;
    this.holder = document.createElement("div");
    this.holder.className = "chart";
    this.holder.tabIndex = 0;
    this.holder.setAttribute("role", "img");
    this.near = document.createElement("div");
    this.near.className = "near";
    place.append(this.holder, this.near);
    // What is drawn, as numbers.
    this.holder.readings = () => (this.rows ?? []).map((row, at) => ({ t: row.t, values: Object.fromEntries(this.series.map((one, index) => [one.label, this.raw[index][at]])) }));
    this.holder.addEventListener("keydown", (event) => this.key(event));
    this.names = "";
    this.watch = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.watch.observe(this.holder);
  }

  size() {
    return { width: Math.max(this.holder.clientWidth, 200), height: this.options.height ?? 210 };
  }

  // `rows`: {t, point, workers}; the axis goes from `from` to `to`.
  show(rows, from, to) {
    const series = this.options.series(rows);
    const raw = series.map((one) => rows.map(one.get));
    const names = series.map((one) => one.label).join("\n");
    const data = [rows.map((row) => row.t), ...(this.options.stacked ? stack(raw) : raw)];
    this.raw = raw;
    this.rows = rows;
    this.series = series;
    if (!this.plot || names !== this.names) {
      this.names = names;
      this.make(data, from, to);
    } else {
      this.plot.setData(data, false);
      this.plot.setScale("x", { min: from, max: to });
    }
    const last = raw.map((values, index) => `${series[index].label} ${this.options.unit(values.at(-1))}`).join(", ");
    this.holder.setAttribute("aria-label", `${this.options.title}: ${rows.length ? last : "no data yet"}`);
  }

  make(data, from, to) {
    this.plot?.destroy();
    const { unit, stacked, title, log } = this.options;
    const text = css("--soft");
    const axis = { stroke: text, grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
    const lines = this.series.map((one, index) => ({
      label: one.label,
      stroke: colourOf(one, index),
      width: stacked ? 1 : 1.6,
      fill: stacked ? colourOf(one, index) + "b0" : undefined,
      spanGaps: false,
      points: { show: false, size: 5, fill: colourOf(one, index), filter: (u, which) => isolated(u.data[which]) },
      value: (u, value, which, at) => unit(at == null ? this.raw[which - 1]?.at(-1) : this.raw[which - 1]?.[at]),
    }));
    const options = {
      ...this.size(),
      series: [{ label: "Time", value: (u, t) => moment(t ?? this.rows.at(-1)?.t) }, ...lines],
      scales: { x: { time: true, range: (u, min, max) => [min ?? from, max ?? to] }, y: log ? { distr: 3, log: 10, range: () => this.options.ends(this.rows) } : { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [{ ...axis, space: 90, values: (u, ticks, which, space, step) => hours(ticks, step) }, { ...axis, ...(log ? { grid: { ...axis.grid, filter: tens }, ticks: { ...axis.ticks, filter: tens } } : {}), size: 70, values: (u, ticks) => labels(ticks, unit) }],
      bands: stacked ? lines.slice(1).map((line, index) => ({ series: [index + 2, index + 1] })) : undefined,
      cursor: { sync: { key: "time" }, drag: { x: true, y: false, setScale: false } },
      legend: { live: true },
      plugins: [...(this.options.plugin ? [this.options.plugin(this)] : []), markers(this.options.events, this.near)],
      hooks: {
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          const [a, b] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          this.options.zoom(a, b);
        }],
      },
    };
    this.plot = new uPlot(options, data, this.holder);
    this.plot.setScale("x", { min: from, max: to });
    this.plot.over.addEventListener("dblclick", () => this.options.zoom(null, null));
    this.plot.root.dataset.title = title;
  }

  // Arrow keys step through the values; a screen reader reads them.
  key(event) {
    if (!this.rows?.length || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const last = this.rows.length - 1;
    const at = this.at ?? last;
    this.at = { ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(last, at + 1), Home: 0, End: last }[event.key];
    const left = this.plot.valToPos(this.rows[this.at].t, "x");
    this.plot.setCursor({ left, top: 10 });
    const values = this.series.map((one, index) => `${one.label} ${this.options.unit(this.raw[index][this.at])}`);
    document.getElementById("spoken").textContent = `${clock(this.rows[this.at].t)}: ${values.join(", ")}`;
  }

  restyle() {
    this.names = "";
  }

  destroy() {
    this.watch.disconnect();
    this.plot?.destroy();
  }
}

function stack(raw) {
  const sums = [];
  raw.forEach((values, index) => {
    sums.push(values.map((value, at) => (value == null ? null : value + (index ? (sums[index - 1][at] ?? 0) : 0))));
  });
  return sums;
}

// === the distribution of waits ===

// Log-linear buckets [low, high, count] on a linear axis: the count of a bucket is spread evenly over its width.
export function linear(buckets, width, bins) {
  const counts = new Array(bins).fill(0);
  let beyond = 0;
  for (const [low, high, count] of buckets) {
    const end = high ?? low * 2;
    const first = Math.floor(low / width);
    const last = Math.min(Math.floor((end - 1e-12) / width), bins - 1);
    for (let bin = first; bin <= last; bin++) {
      const overlap = Math.min(end, (bin + 1) * width) - Math.max(low, bin * width);
      counts[bin] += (count * overlap) / (end - low);
    }
    const rest = Math.max(0, end - Math.max(low, bins * width));
    beyond += (count * rest) / (end - low);
  }
  return { counts, beyond };
}

export class Distribution {
  constructor(place) {
    this.holder = document.createElement("div");
    this.holder.className = "chart";
    this.holder.setAttribute("role", "img");
    this.holder.tabIndex = 0;
    place.append(this.holder);
    this.watch = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.watch.observe(this.holder);
  }

  size() {
    return { width: Math.max(this.holder.clientWidth, 200), height: 300 };
  }

  show(shape, interval) {
    this.plot?.destroy();
    this.plot = null;
    if (!shape?.count) {
      this.holder.setAttribute("aria-label", "Distribution of GIL waits: no waits in this range");
      this.holder.classList.add("note");
      this.holder.textContent = "No waits in this range.";
      return;
    }
    this.holder.classList.remove("note");
    this.holder.textContent = "";
    const step = interval ?? 0.005;
    const farthest = Math.min(Math.max((shape.p99 ?? step) * 1.4, step * 4.5), step * 60);
    const bins = 160;
    const width = farthest / bins;
    const { counts, beyond } = linear(shape.buckets, width, bins);
    const marks = [];
    for (let k = 1; interval && k * interval <= farthest && k <= 40; k++) marks.push(k * interval);
    const grid = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
    const multiples = {
      hooks: {
        draw(u) {
          const { ctx } = u;
          ctx.save();
          ctx.strokeStyle = ctx.fillStyle = css("--c2");
          ctx.font = `${11 * devicePixelRatio}px system-ui`;
          ctx.setLineDash([3, 4]);
          marks.forEach((mark, index) => {
            const x = Math.round(u.valToPos(mark, "x", true));
            ctx.beginPath();
            ctx.moveTo(x, u.bbox.top);
            ctx.lineTo(x, u.bbox.top + u.bbox.height);
            ctx.stroke();
            if (marks.length < 14 || (index + 1) % 5 === 0) ctx.fillText(`${index + 1}×`, x + 3, u.bbox.top + 12 * devicePixelRatio);
          });
          ctx.restore();
        },
      },
    };
    this.plot = new uPlot(
      {
        ...this.size(),
        series: [
          { label: "Wait", value: (u, x) => (x == null ? "–" : `${units.seconds(x - width / 2)} to ${units.seconds(x + width / 2)}`) },
          {
            label: "Waits", stroke: css("--c1"), fill: css("--c1") + "90", width: 1, points: { show: false },
            paths: uPlot.paths.bars({ size: [1, 60], gap: 0 }),
            value: (u, y) => (y == null ? "–" : `${round(y, 1)} (${round((100 * y) / shape.count, 1)} %)`),
          },
        ],
        scales: { x: { time: false, range: [0, farthest] }, y: { range: (u, min, max) => [0, Math.max(1, max * 1.08)] } },
        axes: [{ ...grid, values: (u, ticks) => labels(ticks, units.seconds) }, { ...grid, size: 70 }],
        cursor: { drag: { x: false, y: false } },
        plugins: [multiples],
      },
      [counts.map((_, bin) => (bin + 0.5) * width), counts],
      this.holder,
    );
    const most = `${shape.count} waits, half below ${units.seconds(shape.p50)}, 99 % below ${units.seconds(shape.p99)}`;
    const marked = interval ? `; multiples of the switch interval of ${units.seconds(interval)} are marked` : "";
    this.holder.setAttribute("aria-label", `Distribution of GIL waits: ${most}${marked}; ${round(beyond, 0)} are beyond the axis`);
  }

  destroy() {
    this.watch.disconnect();
    this.plot?.destroy();
  }
}
