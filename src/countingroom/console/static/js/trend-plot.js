// One plot of the page of trends: its points, its axes, the same as a table, and the file.
import { $, el, setText } from "./dom.js";
import { grouped } from "./run-parts.js";
import { Picked } from "./picked.js";
import { alarmsText } from "./trend-alarms.js";
import { past } from "./series.js";
import { showTable } from "./trend-table.js";
import { Trend } from "./trend.js";

const CSV_ROWS = 50000;
const ns = (seconds) => String(Math.round(seconds * 1e9));

export class Plot {
  // page: {live, range, about, changed(), remove(plot)}
  constructor(page, names, log) {
    Object.assign(this, { page, log, asTable: false, turn: 0 });
    this.node = this.build();
    this.picked = new Picked(this.node, names, page.about, () => page.changed());
    const zoom = (from, until) => page.range.set(until - from, until);
    const drawn = document.body.dataset.vendored === "yes";
    this.trend = drawn ? new Trend($(".trend", this.node), { height: "fill", zoom, log }) : null;
    if (!drawn) this.table();
    document.addEventListener("zone", () => this.asTable && this.redraw());
  }

  get lines() {
    return this.picked.lines;
  }

  build() {
    const button = (text, name, click) => el("button", { class: `btn small ${name}`, type: "button", "aria-pressed": "false", onclick: click }, text);
    const input = el("input", { class: "field", type: "text", placeholder: "Add a point…", autocomplete: "off", role: "combobox", "aria-expanded": "false", "aria-label": "Add a point" });
    const list = el("ul", { class: "pick-list", role: "listbox", hidden: true });
    const remove = el("button", { class: "btn small remove", type: "button", "aria-label": "Remove this plot", onclick: () => this.page.remove(this) }, "×");
    this.logButton = button("Log", "as-log", () => this.setLog(!this.log));
    this.logButton.setAttribute("aria-pressed", String(this.log));
    this.tableButton = button("Table", "as-table", () => this.table());
    return el(
      "section",
      { class: "card grow plot", "aria-label": "Trend" },
      el(
        "h2",
        {},
        el("ul", { class: "picked", "aria-label": "Points drawn" }),
        el("div", { class: "pick" }, input, list),
        el("span", { class: "sp" }),
        el(
          "span",
          { class: "tools" },
          el("span", { class: "hint resolution" }),
          this.logButton,
          this.tableButton,
          el("a", { class: "btn small as-csv", href: "/api/v1/history", download: "" }, "CSV"),
          remove,
        ),
      ),
      el("p", { class: "mut empty no-points", hidden: true }, "Nothing is drawn yet. Add a point above: write a part of its name, arrow keys choose, Enter adds. Up to eight can be drawn in a plot."),
      el("div", { class: "trend big" }),
      el("p", { class: "hint in-alarm", hidden: true }),
      el("div", { class: "lg-wrap", hidden: true, tabindex: "0", role: "group", "aria-label": "The same as a table" }, el("table", { class: "lg", "aria-label": "The same as a table" }, el("thead"), el("tbody"))),
    );
  }

  setLog(on) {
    this.log = on;
    this.logButton.setAttribute("aria-pressed", String(on));
    this.trend?.setLog(on);
    this.page.address();
  }

  table() {
    this.asTable = !this.asTable;
    this.tableButton.setAttribute("aria-pressed", String(this.asTable));
    $(".lg-wrap", this.node).hidden = !this.asTable;
    $(".trend", this.node).hidden = this.asTable;
    this.redraw();
  }

  async load(spans, alarms) {
    const mine = ++this.turn,
      { range } = this.page,
      [from, until] = range.ends.map(ns);
    const points = this.picked.names.map((name) => ["point", name]);
    const asked = { from, to: until, max_points: String(CSV_ROWS), format: "csv" };
    $(".as-csv", this.node).href = `/api/v1/history?${new URLSearchParams([...points, ...Object.entries(asked)])}`;
    const resolution = this.lines.length ? await this.fill(() => mine === this.turn) : "";
    if (mine !== this.turn) return;
    setText($(".resolution", this.node), resolution);
    if (this.trend) await this.trend.show(this.lines, this.page.about);
    this.redraw();
    const found = await spans;
    if (mine !== this.turn || !this.trend) return;
    this.trend.spans = found;
    this.redraw();
    await this.loadAlarms(alarms);
  }

  // Where its points were in alarm.
  async loadAlarms(alarms) {
    const mine = this.turn,
      found = await alarms;
    if (mine !== this.turn) return;
    const text = alarmsText(this.lines, this.page.about, found, this.page.range.ends[1]),
      place = $(".in-alarm", this.node);
    place.hidden = !text;
    setText(place, text);
    if (!this.trend) return;
    this.trend.alarms = found;
    this.redraw();
  }

  // Ask the history; returns the resolution of its answer, or why it failed.
  async fill(wanted) {
    const { live, range } = this.page,
      [from, until] = range.ends,
      rows = Math.max(400, Math.min(2000, this.node.clientWidth));
    try {
      const found = await past(this.picked.names, from * 1e9, until * 1e9, rows);
      if (!wanted()) return "";
      found.forEach((series, index) => this.lines[index].begin(series));
      for (const line of this.lines) if (range.open && live.points.has(line.name)) line.take(live.points.get(line.name));
      const count = found.reduce((sum, series) => sum + series.time_ns.length, 0);
      return `${[...new Set(found.map((series) => series.resolution))].join(" and ")}, ${grouped(count)} rows`;
    } catch (error) {
      return `${error.message}: drawn from now on`;
    }
  }

  redraw() {
    const { live, range, about } = this.page,
      [from, until] = range.ends;
    if (this.asTable) showTable($(".lg", this.node), this.lines, about, from, until);
    else this.trend?.draw(from, until, range.open && live.trusted ? range.now : 0);
    this.page.drawn();
  }
}
