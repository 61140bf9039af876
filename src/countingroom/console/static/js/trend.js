// The chart of a trend: lines differ by dash as well as by colour, limits are named lines, gaps stay gaps, and a band
// shows minimum and maximum of reduced data.
import { el, setText } from "./dom.js";
import { number, unit as unitOf } from "./format.js";
import { outages } from "./outages.js";
import { drawAlarms } from "./trend-alarms.js";
import { drawLimits, limitsOf } from "./trend-limits.js";
import { marks, texts } from "./time-axis.js";
import { onWall, zoneAt, zoneOf } from "./zone.js";

const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3], [4, 2], [1, 2]];
const COLOURS = 6;
const TIME_PX = 78; // a time with seconds is 52 px wide: closer, the times of an axis ran together
const LAST_PX = 17;
export const MOST = 8;

let library = null;
export const drawing = async () => (library ??= (await import("../vendor/uplot.js")).default);
export const dash = (index) => DASHES[index % DASHES.length];
export const colour = (index) =>
  getComputedStyle(document.documentElement)
    .getPropertyValue(`--c${(index % COLOURS) + 1}`)
    .trim();
const paint = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faint = (colour_) => `color-mix(in srgb, ${colour_} 22%, transparent)`;

// Plots below each other begin and end at the same place, whatever their axes need.
export function inLine(trends) {
  const drawn = trends.filter((trend) => trend?.plot && trend.place.offsetParent),
    taken = drawn.map((trend) => trend.beside()),
    [left, right] = ["left", "right"].map((side) => Math.max(0, ...taken.map((one) => one[side])));
  drawn.forEach((trend, index) => trend.keepFree({ left: left - taken[index].left, right: right - taken[index].right }));
}

// The digits that distinguish one mark of an axis from the next: 0.025 has three.
function decimals(step) {
  for (let digits = 0; digits < 9; digits++) {
    const whole = step * 10 ** digits;
    if (Math.abs(whole - Math.round(whole)) < 1e-6) return digits;
  }
  return 9;
}

// A logarithm has no place for zero and less: there are gaps. The lines keep their values for the other axis.
const positive = ([times, ...columns]) => [times, ...columns.map((one) => one.map((v) => (v > 0 ? v : null)))];

// How many values between the two times that leaves out.
const leftOut = ([times, mean], fromS, toS) =>
  mean.filter((v, k) => v !== null && v !== undefined && v <= 0 && times[k] >= fromS && times[k] <= toS).length;

// A gap lasts until the next value of its own line. uPlot ends it at the next time of any line, so that with two lines an
// outage of one was drawn as a held value.
export function gapsLast([times, ...columns]) {
  for (const column of columns) {
    let inGap = false;
    for (let i = 0; i < times.length; i++) {
      if (column[i] === undefined) {
        if (inGap) column[i] = null;
      } else inGap = column[i] === null;
    }
  }
  return [times, ...columns];
}

// A chart of a few lines. `lines`: Line objects; `about`: name -> {label, unit, precision, limits, steps}.
export class Trend {
  constructor(place, { height = 240, zoom = null, log = false } = {}) {
    this.place = place;
    this.log = log;
    this.height = height;
    this.zoom = zoom;
    this.plot = null;
    this.leftOut = el("p", { class: "hint left-out", role: "status", hidden: true });
    this.room = { left: 0, right: 0 }; // px kept free beside the axes, so that plots below each other have one time axis
    this.spans = []; // [{from, to, name, colour?}]: runs, or the alarm of a page, drawn behind the lines
    this.alarms = new Map(); // point -> [{from, to, priority}]
    new ResizeObserver(() => this.resize()).observe(place);
    for (const changed of ["theme", "zone"]) document.addEventListener(changed, () => this.rebuild());
  }

  async show(lines, about) {
    this.lines = lines;
    this.about = about;
    this.uPlot = await drawing();
    const key = JSON.stringify(lines.map((line) => [line.name, line.resolution === "raw"]));
    if (key === this.key && this.plot) return;
    this.key = key;
    this.rebuild();
  }

  setLog(on) {
    this.log = on;
    this.rebuild();
  }

  rebuild() {
    if (!this.lines || !this.uPlot) return;
    const range = this.range;
    this.zone = range ? zoneOf(...range) : zoneAt(Date.now() / 1000);
    this.plot?.destroy();
    this.plot = null;
    this.place.replaceChildren(this.leftOut);
    if (!this.lines.length) return;
    this.plot = new this.uPlot(this.options(), [[]], this.place);
    this.range = range;
    if (range) this.draw(...range, this.nowS);
  }

  options() {
    const units = [...new Set(this.lines.map((line) => this.about[line.name].unit || "-"))];
    const text = paint("--txt2"),
      grid = { stroke: paint("--grid"), width: 1 },
      font = "12px Inter, system-ui, sans-serif";
    const series = [
      { label: this.zone.includes(" ") ? "local" : this.zone, value: (_, t) => this.clock(t ?? this.range?.[1] ?? 0) },
    ];
    const bands = [];
    this.lines.forEach((line, index) => {
      const about = this.about[line.name],
        scale = about.unit || "-",
        stroke = colour(index);
      const held = about.steps || (line.resolution === "raw" && about.deadband > 0);
      const shared = {
        scale,
        points: { show: false },
        paths: held ? this.uPlot.paths.stepped({ align: 1 }) : undefined,
      };
      series.push({
        ...shared,
        label: about.label,
        stroke,
        dash: dash(index),
        width: index === 0 ? 2 : 1.5,
        value: (plot, v, s) => {
          const shown = v ?? this.lastOf(plot, s);
          return shown == null ? (plot.cursor.idx == null && line.mean.length ? "no value" : "–") : `${number(shown, about.precision ?? 2)} ${unitOf(about.unit)}`;
        },
      });
      series.push(
        { ...shared, label: "low", stroke: "transparent", class: "vh-series" },
        { ...shared, label: "high", stroke: "transparent", class: "vh-series" },
      );
      bands.push({ series: [index * 3 + 3, index * 3 + 2], fill: faint(stroke) });
    });
    const axis = (scale, side) => ({
      scale,
      side,
      stroke: text,
      font,
      grid: scale === units[0] ? grid : { show: false },
      ticks: grid,
      // As wide as its longest label: with a fixed width 1200000.0 ran into the line.
      size: (_, labels) => Math.max(40, 16 + 7 * Math.max(0, ...(labels ?? []).map((one) => String(one ?? "").length))),
      values: (_, splits, __, ___, step) => splits.map((one) => this.label(one, step)),
    });
    return {
      ...this.size(),
      // The units of the axes stand above. Without an axis at the right half of the last time stands there.
      padding: [22, (_, __, taken) => (taken[1] ? 0 : LAST_PX) + this.room.right, null, () => this.room.left],
      series,
      bands,
      scales: {
        x: { time: true },
        ...Object.fromEntries(units.map((scale) => [scale, { distr: this.log ? 3 : 1, range: (_, low, high) => this.span(scale, low, high) }])),
      },
      axes: [
        {
          stroke: text,
          font,
          grid,
          ticks: grid,
          space: TIME_PX,
          splits: (_, __, min, max, incr) => marks(min, max, incr),
          values: (_, splits, __, ___, incr) => texts(splits, incr),
        },
        ...units.slice(0, 4).map((scale, index) => axis(scale, index % 2 ? 1 : 3)),
      ],
      cursor: { drag: { x: Boolean(this.zoom), y: false, setScale: false } },
      legend: {
        live: true,
        markers: { width: 2, dash: (_, index) => ["solid", "dashed", "dotted"][((index - 1) / 3) % 3] },
      },
      hooks: {
        drawClear: [(plot) => this.runs(plot), (plot) => outages(plot, this), (plot) => drawAlarms(plot, this, paint)],
        draw: [(plot) => this.limits(plot), (plot) => this.names(plot), (plot) => this.margins(plot, units)],
        setSelect: [
          (plot) => {
            if (!this.zoom || plot.select.width < 6) return;
            const from = plot.posToVal(plot.select.left, "x"),
              to = plot.posToVal(plot.select.left + plot.select.width, "x");
            plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            this.zoom(from, to);
          },
        ],
        ready: [
          (plot) => {
            for (const [index, row] of [...plot.root.querySelectorAll(".u-legend .u-series")].entries())
              if (index && (index - 1) % 3) row.hidden = true;
          },
        ],
      },
    };
  }

  clock(seconds) {
    const text = onWall(seconds).toISOString().slice(11, 19);
    return this.zone.includes(" ") ? `${text} ${zoneAt(seconds)}` : text;
  }

  // The unit above each axis, and the zone of the times below them.
  margins(plot, units) {
    const { ctx, bbox } = plot,
      ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${12 * ratio}px Inter, system-ui, sans-serif`;
    ctx.fillStyle = paint("--txt2");
    ctx.textBaseline = "alphabetic";
    plot.axes.slice(1).forEach(({ side, _pos }, index) => {
      ctx.textAlign = side === 3 ? "right" : "left";
      const told = unitOf(units[index] === "-" ? "" : units[index]);
      ctx.fillText(told, (_pos + (side === 3 ? -9 : 9)) * ratio, bbox.top - 9 * ratio);
    });
    ctx.textAlign = "right";
    const right = bbox.left + bbox.width,
      wide = ctx.measureText(this.zone).width,
      base = bbox.top + bbox.height + 43 * ratio;
    ctx.clearRect(right - wide - 4 * ratio, base - 12 * ratio, wide + 6 * ratio, 15 * ratio);
    ctx.fillText(this.zone, right, base);
    ctx.restore();
  }

  // The last drawn value, for the legend while the cursor is elsewhere; null where the line ends in a gap.
  lastOf(plot, series) {
    if (plot.cursor.idx != null) return null;
    return (plot.data[series] ?? []).findLast((one) => one !== undefined) ?? null;
  }

  // What its axes take at both sides, px.
  beside() {
    const found = { left: 0, right: 0 };
    for (const { side, _size: size } of this.plot?.axes.slice(1) ?? []) found[side === 3 ? "left" : "right"] += size;
    return { left: found.left, right: found.right || LAST_PX };
  }

  keepFree(room) {
    if (!this.plot || (room.left === this.room.left && room.right === this.room.right)) return;
    this.room = room;
    this.plot.setSize({ width: this.plot.width, height: this.plot.height });
  }

  // A span with room above and below, and the nearest limits in sight when the values come close.
  span(scale, low, high) {
    if (low == null) return this.log ? [0.1, 1] : [0, 1];
    if (this.log) return [low / 1.6, high * 1.6];
    const finest = Math.max(
      ...this.lines
        .map((line) => this.about[line.name])
        .filter((about) => (about.unit || "-") === scale)
        .map((about) => (about.steps ? 0.5 : 5 * 10 ** -(about.precision ?? 2))),
    );
    // Values that the decimals show nothing of (3.2e-9 mbar) fill the plot by their own size.
    const size = Math.max(Math.abs(low), Math.abs(high));
    const room = Math.max((high - low) * 0.12, size && size < finest / 10 ? size * 0.2 : finest);
    let [bottom, top] = [low - room, high + room];
    for (const { value } of this.marks(scale)) {
      if (value > high && value - high < 2.5 * (high - low + room)) top = Math.max(top, value + room);
      if (value < low && low - value < 2.5 * (high - low + room)) bottom = Math.min(bottom, value - room);
    }
    return [bottom, top];
  }

  label(value, step) {
    if (value === null) return null;
    return this.log ? String(Number(value.toPrecision(2))) : number(value, decimals(step));
  }

  marks(scale) {
    const lines = this.lines.filter((line) => (this.about[line.name].unit || "-") === scale);
    return limitsOf(lines.map((line) => this.about[line.name]), this.lines.length > 1);
  }

  // Runs as bands behind everything; their names, where they fit, over the grid.
  runs(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = `color-mix(in srgb, ${paint("--fill")} 9%, transparent)`;
    const faintly = ctx.fillStyle;
    for (const { left, width, colour: own } of this.bands(plot)) {
      ctx.fillStyle = own ? paint(own) : faintly;
      ctx.fillRect(left, bbox.top, width, bbox.height);
    }
    ctx.restore();
  }

  names(plot) {
    const { ctx, bbox } = plot,
      ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * ratio}px Inter, system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    for (const { left, width, name } of this.bands(plot)) {
      const wide = ctx.measureText(name).width;
      if (!name || wide + 12 * ratio > width) continue;
      ctx.fillStyle = paint("--panel");
      ctx.fillRect(left + 3 * ratio, bbox.top + 3 * ratio, wide + 6 * ratio, 16 * ratio);
      ctx.fillStyle = paint("--txt2");
      ctx.fillText(name, left + 6 * ratio, bbox.top + 15 * ratio);
    }
    ctx.restore();
  }

  bands(plot) {
    const { left: first, width: all } = plot.bbox;
    const at = (seconds) => Math.max(first, Math.min(first + all, plot.valToPos(seconds, "x", true)));
    return this.spans
      .map(({ from, to, name, colour: own }) => ({ name, colour: own, left: at(from), width: at(to ?? this.nowS ?? from) - at(from) }))
      .filter(({ width }) => width > 0);
  }

  limits(plot) {
    const scales = [...new Set(this.lines.map((line) => this.about[line.name].unit || "-"))];
    drawLimits(plot, scales.flatMap((scale) => this.marks(scale).map((mark) => ({ ...mark, scale }))), paint);
  }

  draw(fromS, toS, nowS) {
    this.range = [fromS, toS];
    this.nowS = nowS;
    if (!this.plot) return;
    if (zoneOf(fromS, toS) !== this.zone) return this.rebuild();
    const tables = this.lines.map((line) => line.columns(Math.min(nowS, toS)));
    const left = this.log ? tables.reduce((sum, table) => sum + leftOut(table, fromS, toS), 0) : 0;
    this.leftOut.hidden = !left;
    setText(this.leftOut, left ? `${left} ${left === 1 ? "value" : "values"} ≤ 0 not drawn: the axis is logarithmic` : "");
    const joined = tables.length ? gapsLast(this.uPlot.join(this.log ? tables.map(positive) : tables)) : [[]];
    this.plot.setData(joined, false);
    this.plot.batch(() => {
      this.plot.setScale("x", { min: fromS, max: toS });
    });
    this.resize(); // the legend may have another line now
    this.plot.setLegend?.({ idx: this.plot.cursor.idx ?? null }, false);
  }

  size() {
    const legend = (this.plot?.root.querySelector(".u-legend")?.offsetHeight ?? 32) + this.leftOut.offsetHeight;
    const height = this.height === "fill" ? Math.max(180, this.place.clientHeight - legend - 12) : this.height;
    return { width: Math.max(200, this.place.clientWidth - 12), height };
  }

  resize() {
    const size = this.size();
    if (this.plot && (size.width !== this.plot.width || size.height !== this.plot.height)) this.plot.setSize(size);
  }
}
