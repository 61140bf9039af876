// The picture of a rate over time: bars by priority, floods as spans behind them. Arrow keys, pointer and touch choose a
// bar, whose numbers are written below.
import { el, setText, svg } from "./dom.js";
import { marks, texts } from "./time-axis.js";
import { written } from "./times.js";
import { zoneAt } from "./zone.js";

const HEIGHT = 190;
const LEFT = 38;
const TOP = 16;
const BOTTOM = 34;
const MARK_PX = 84;
const STEPS = [600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 345600, 604800, 1209600, 2592000, 7776000, 31536000];
const WORDS = ["high", "medium", "low", "for information"];

// The next of 1, 2, 5, 10, 20 … that is not lower: the top of the axis.
export function niceTop(most) {
  const size = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 5, 10].map((one) => one * size).find((one) => one >= most);
}

export class RatePicture {
  // told: the node for the numbers of the chosen bar.
  constructor(place, told) {
    Object.assign(this, { place, told, bins: [], chosen: -1 });
    place.setAttribute("role", "slider");
    place.tabIndex = 0;
    place.addEventListener("keydown", (event) => this.key(event));
    for (const kind of ["pointermove", "pointerdown"]) place.addEventListener(kind, (event) => this.point(event));
    new ResizeObserver(() => this.draw()).observe(place);
    document.addEventListener("zone", () => this.draw());
  }

  // bins: [{from, counts}] and floods: [{from, to, count}] in seconds; width: of a bar.
  show({ bins, width, floods, from, to }) {
    Object.assign(this, { bins, width, floods, from, to, chosen: Math.min(this.chosen, bins.length - 1) });
    this.draw();
  }

  x(seconds) {
    return LEFT + ((seconds - this.from) / (this.to - this.from)) * (this.wide - LEFT - 8);
  }

  draw() {
    this.wide = Math.max(240, this.place.clientWidth - 2);
    if (!this.bins.length) return;
    const top = niceTop(Math.max(1, ...this.bins.map(({ counts }) => counts.reduce((a, b) => a + b)))),
      base = HEIGHT - BOTTOM,
      y = (count) => base - (count / top) * (base - TOP);
    const picture = svg("svg", { width: this.wide, height: HEIGHT, "aria-hidden": "true" });
    const add = (tag, attributes, text) => {
      const node = svg(tag, attributes);
      if (text !== undefined) node.textContent = text;
      picture.append(node);
      return node;
    };
    for (const { from, to } of this.floods) {
      const left = this.x(Math.max(from, this.from)),
        width = Math.max(2, this.x(Math.min(to, this.to)) - left);
      add("rect", { class: "flood", x: left, y: TOP, width, height: base - TOP });
      if (width > 40) add("text", { class: "flood-name", x: left + 4, y: TOP + 12 }, "flood");
    }
    for (const part of [0, 0.5, 1]) {
      const count = top * part;
      if (count % 1) continue;
      add("line", { class: "grid", x1: LEFT, x2: this.wide - 8, y1: y(count), y2: y(count) });
      add("text", { class: "axis", x: LEFT - 6, y: y(count) + 4, "text-anchor": "end" }, String(count));
    }
    this.bins.forEach(({ from, counts }, index) => {
      const left = this.x(Math.max(from, this.from)),
        width = Math.max(1, this.x(Math.min(this.to, from + this.width)) - left - (this.bins.length > 150 ? 0 : 1));
      let below = 0;
      // The most urgent stands on the axis, where its height is compared best.
      counts.forEach((count, priority) => {
        if (!count) return;
        add("rect", { class: `rate r${priority + 1}`, x: left, width, y: y(below + count), height: y(below) - y(below + count) });
        below += count;
      });
      if (index === this.chosen) add("rect", { class: "chosen", x: left - 1, width: width + 2, y: TOP, height: base - TOP });
    });
    const step = STEPS.find((one) => (one / (this.to - this.from)) * (this.wide - LEFT) >= MARK_PX) ?? STEPS.at(-1),
      at = marks(this.from, this.to, step);
    texts(at, step).forEach((text, index) => {
      const x = this.x(at[index]);
      add("line", { class: "grid", x1: x, x2: x, y1: base, y2: base + 4 });
      text.split("\n").forEach((line, row) => add("text", { class: "axis", x, y: base + 15 + 13 * row, "text-anchor": x > this.wide - 40 ? "end" : "middle" }, line));
    });
    this.place.replaceChildren(picture);
    this.tell();
  }

  key(event) {
    const last = this.bins.length - 1,
      to = { ArrowRight: this.chosen + 1, ArrowLeft: this.chosen < 0 ? last : this.chosen - 1, Home: 0, End: last, PageDown: this.chosen + 10, PageUp: this.chosen - 10 }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(last, to)));
  }

  point(event) {
    const seconds = this.from + ((event.clientX - this.place.getBoundingClientRect().left - LEFT) / (this.wide - LEFT - 8)) * (this.to - this.from),
      index = Math.floor((seconds - (this.bins[0]?.from ?? 0)) / this.width);
    if (index >= 0 && index < this.bins.length) this.choose(index);
  }

  choose(index) {
    if (index === this.chosen) return;
    this.chosen = index;
    this.draw();
  }

  tell() {
    const bin = this.bins[this.chosen],
      slider = { valuemin: 0, valuemax: Math.max(0, this.bins.length - 1), valuenow: Math.max(0, this.chosen), valuetext: bin ? this.text(bin) : "no bar is chosen" };
    for (const [name, value] of Object.entries(slider)) this.place.setAttribute(`aria-${name}`, String(value));
    setText(this.told, bin ? this.text(bin) : "Point at a bar, or use the arrow keys.");
  }

  text({ from, counts }) {
    const until = Math.min(this.to, from + this.width),
      sum = counts.reduce((a, b) => a + b),
      parts = counts.map((count, index) => (count ? `${count} ${WORDS[index]}` : "")).filter(Boolean),
      flooded = this.floods.some((one) => one.from < until - 1 && one.to > from + 1); // floods are counted in whole seconds
    return `${written(from).slice(0, 16)} to ${written(until).slice(11, 16)} ${zoneAt(from)}: ${sum} ${sum === 1 ? "alarm" : "alarms"}${parts.length ? ` (${parts.join(", ")})` : ""}${flooded ? ", in a flood" : ""}`;
  }
}

// A bar that lies, as a part of 100; `mark`: a line at another part.
export function lying(part, kind = "", mark = null) {
  const node = svg("svg", { class: `lying ${kind}`, viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  node.append(svg("rect", { class: "all", width: 100, height: 10 }), svg("rect", { class: "part", width: Math.max(part > 0 ? 0.8 : 0, Math.min(100, part)), height: 10 }));
  if (mark !== null) node.append(svg("rect", { class: "mark", x: mark, width: 0.8, height: 10 }));
  return el("span", { class: "lies" }, node);
}
