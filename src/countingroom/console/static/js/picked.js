// The list of points that are drawn, with the dash and colour of each. The number of points is bounded.
import { $, el, svg } from "./dom.js";
import { unit } from "./format.js";
import { choose } from "./finder.js";
import { Line } from "./series.js";
import { note } from "./shell.js";
import { MOST, colour, dash } from "./trend.js";

export class Picked {
  // root: the plot; about: point -> its label; changed(): called when other points are chosen.
  constructor(root, names, about, changed) {
    this.root = root;
    this.about = about;
    this.changed = changed;
    this.lines = names
      .filter((name) => name in about)
      .slice(0, MOST)
      .map((name) => new Line(name));
    this.chooser();
    document.addEventListener("theme", () => this.show());
    this.show();
  }

  get names() {
    return this.lines.map((line) => line.name);
  }

  show() {
    const chips = this.lines.map((line, index) => this.chip(line, index));
    $(".picked", this.root).replaceChildren(...chips);
    $(".picked", this.root).hidden = !chips.length;
    $(".no-points", this.root).hidden = chips.length > 0;
  }

  chip(line, index) {
    const { label } = this.about[line.name];
    const sample = svg("svg", { viewBox: "0 0 24 8" });
    const drawn = { stroke: colour(index), "stroke-width": 2, "stroke-dasharray": dash(index).join(" ") };
    sample.append(svg("path", { d: "M0 4H24", ...drawn }));
    const remove = () => {
      this.lines.splice(index, 1);
      this.show();
      this.changed();
    };
    const button = el("button", { type: "button", "aria-label": `Remove ${label}`, onclick: remove }, "×");
    return el("li", {}, sample, label, button);
  }

  add(name) {
    if (this.names.includes(name)) return;
    if (this.lines.length >= MOST) {
      note(`At most ${MOST} points are drawn at once.`);
      return;
    }
    this.lines.push(new Line(name));
    this.show();
    this.changed();
  }

  chooser() {
    const input = $(".pick input", this.root);
    const list = $(".pick-list", this.root);
    const all = Object.values(this.about).map((one) => [one.label, one.id, unit(one.unit)]);
    const draw = choose(input, list, {
      all: async () => all,
      show: ([label, id, unitText]) => [el("span", {}, label), el("small", {}, `${id} ${unitText}`)],
      pick: ([, id]) => {
        input.value = "";
        input.blur();
        this.add(id);
      },
    });
    const open = (on) => {
      list.hidden = !on;
      input.setAttribute("aria-expanded", String(on));
    };
    input.addEventListener("focus", () => {
      open(true);
      draw();
    });
    input.addEventListener("blur", () => open(false));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") input.blur();
    });
  }
}
