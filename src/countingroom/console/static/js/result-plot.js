// Draws what the server has reduced of an array: bars of a histogram, a curve, or a map of colours.
import { el, svg } from "./dom.js";

const HEIGHT = 260;
const LEFT = 58;
const BOTTOM = 30;
const TOP = 10;
const SCALE = 22;
const PADDING = 26; // of .result-plot, on both sides
const short = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(5))));

// About `many` round numbers from low to high.
function rounds(low, high, many) {
  const size = 10 ** Math.floor(Math.log10((high - low) / many || 1)),
    step = [1, 2, 5, 10].map((one) => one * size).find((one) => (high - low) / one <= many) ?? size * 10,
    found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

const extent = (values) => {
  let low = Infinity,
    high = -Infinity;
  for (const value of values) {
    if (typeof value !== "number") continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, low === high ? low + 1 : high] : [0, 1];
};

// A sentence about a column.
export function facts(told) {
  const parts = [`${told.count} values`];
  if (told.missing) parts.push(`${told.missing} missing`);
  for (const [name, word] of [["mean", "mean"], ["deviation", "deviation"], ["low", "lowest"], ["high", "highest"]]) if (told[name] !== undefined) parts.push(`${word} ${short(told[name])}`);
  return parts.join(", ");
}

export class ResultPlot {
  constructor(place) {
    this.place = place;
    this.view = null;
    new ResizeObserver(() => this.draw()).observe(place);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  show(view, title) {
    this.view = view;
    this.title = title;
    this.draw();
  }

  draw() {
    if (!this.view) return this.place.replaceChildren();
    this.wide = Math.max(220, this.place.clientWidth - PADDING);
    this.place.replaceChildren(this.view.kind === "map" ? this.map() : this.axes());
  }

  axes() {
    const { view } = this,
      bars = view.kind === "distribution",
      [left, right] = extent(bars ? view.edges : [...view.x, ...(view.x_b ?? [])]),
      [low, high] = bars ? [0, extent([...view.counts, ...(view.counts_b ?? [])])[1]] : extent([...view.y, ...(view.y_b ?? [])]),
      base = HEIGHT - BOTTOM,
      x = (value) => LEFT + ((value - left) / (right - left)) * (this.wide - LEFT - 10),
      y = (value) => base - ((value - low) / (high - low)) * (base - TOP);
    const picture = svg("svg", { width: this.wide, height: HEIGHT, role: "img", "aria-label": this.title });
    const add = (tag, attributes, text) => {
      const node = svg(tag, attributes);
      if (text !== undefined) node.textContent = text;
      picture.append(node);
    };
    for (const value of rounds(low, high, 5)) {
      add("line", { class: "grid", x1: LEFT, x2: this.wide - 10, y1: y(value), y2: y(value) });
      add("text", { class: "axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short(value));
    }
    for (const value of rounds(left, right, Math.max(2, this.wide / 90))) {
      add("line", { class: "grid", x1: x(value), x2: x(value), y1: base, y2: base + 4 });
      add("text", { class: "axis", x: x(value), y: base + 17, "text-anchor": "middle" }, short(value));
    }
    if (bars) {
      add("path", { class: "bars", d: steps(view.edges, view.counts, x, y, true) });
      if (view.counts_b) add("path", { class: "curve b", d: steps(view.edges, view.counts_b, x, y, false) });
    } else {
      add("path", { class: "curve", d: line(view.x, view.y, x, y) });
      if (view.y_b) add("path", { class: "curve b", d: line(view.x_b, view.y_b, x, y) });
      if (view.x_name) add("text", { class: "axis", x: this.wide - 10, y: HEIGHT - 1, "text-anchor": "end" }, view.x_name);
    }
    return picture;
  }

  map() {
    const { view } = this,
      rows = view.values.length,
      columns = view.values[0]?.length ?? 0;
    if (!rows || !columns) return el("p", { class: "mut empty" }, "The map is empty.");
    let [low, high] = extent(view.values.flat());
    if (view.difference) [low, high] = [-Math.max(Math.abs(low), Math.abs(high)), Math.max(Math.abs(low), Math.abs(high))];
    const small = el("canvas", { width: columns, height: rows }),
      pixels = small.getContext("2d").createImageData(columns, rows);
    view.values.forEach((row, at) =>
      row.forEach((value, across) => {
        const place = (at * columns + across) * 4;
        if (value === null) return;
        const [r, g, b] = colour((value - low) / (high - low || 1), view.difference);
        pixels.data.set([r, g, b, 255], place);
      }),
    );
    small.getContext("2d").putImageData(pixels, 0, 0);
    const wide = this.wide - 2,
      height = Math.max(120, Math.min(420, Math.round((wide * rows) / columns)));
    const canvas = el("canvas", { width: wide, height: height + SCALE, role: "img", "aria-label": this.title }),
      on = canvas.getContext("2d");
    on.imageSmoothingEnabled = false;
    on.drawImage(small, 0, 0, wide, height);
    const style = getComputedStyle(document.documentElement);
    on.font = "11px sans-serif";
    on.fillStyle = style.getPropertyValue("--txt2");
    on.textBaseline = "middle";
    const at = height + SCALE / 2 + 2;
    on.fillText(short(low), 0, at);
    const from = 62,
      length = Math.min(240, wide - 130);
    for (let step = 0; step < length; step++) {
      on.fillStyle = `rgb(${colour(step / length, view.difference).join(",")})`;
      on.fillRect(from + step, at - 5, 1, 10);
    }
    on.fillStyle = style.getPropertyValue("--txt2");
    on.fillText(short(high), from + length + 6, at);
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect(),
        across = Math.floor(((event.clientX - box.left) / wide) * columns),
        down = Math.floor(((event.clientY - box.top) / height) * rows),
        value = view.values[down]?.[across];
      canvas.title = value === undefined ? "" : `row ${down * view.cell[0]}, column ${across * view.cell[1]}: ${short(value)}`;
    });
    return canvas;
  }
}

// Dark to light, as brightness grows steadily; a difference from blue over grey to orange.
function colour(part, difference) {
  const stops = difference ? [[33, 96, 166], [222, 222, 222], [178, 84, 12]] : [[28, 20, 70], [38, 92, 140], [60, 158, 130], [236, 222, 84]],
    at = Math.max(0, Math.min(0.999999, part)) * (stops.length - 1),
    index = Math.floor(at);
  return stops[index].map((one, channel) => Math.round(one + (stops[index + 1][channel] - one) * (at - index)));
}

function steps(edges, counts, x, y, closed) {
  if (!counts.length) return "";
  const path = counts.map((count, index) => `${index ? "L" : "M"}${x(edges[index])},${y(count)}L${x(edges[index + 1])},${y(count)}`).join("");
  return closed ? `${path}L${x(edges.at(-1))},${y(0)}L${x(edges[0])},${y(0)}Z` : path;
}

function line(xs, ys, x, y) {
  let pen = "M";
  return ys
    .map((value, index) => {
      if (typeof value !== "number" || typeof xs[index] !== "number") {
        pen = "M";
        return "";
      }
      const part = `${pen}${x(xs[index])},${y(value)}`;
      pen = "L";
      return part;
    })
    .join("");
}
