// The page of trends: any points over any range, from the history, continued by the live feed. The address holds the
// selection.
import { $, data, setText } from "./dom.js";
import { moment } from "./format.js";
import { Picked } from "./picked.js";
import { Range } from "./range.js";
import { runsIn } from "./run-spans.js";
import { grouped } from "./run-parts.js";
import { past } from "./series.js";
import { showTable } from "./trend-table.js";
import { Trend } from "./trend.js";

const DRAW_NS = 5e8;
const CSV_ROWS = 50000;

const titled = (point) => `${point.device} ${point.channel ? `ch ${point.channel} ` : ""}${point.label}`;
const ns = (seconds) => String(Math.round(seconds * 1e9));

export function page(live) {
  const query = new URLSearchParams(location.search);
  const about = Object.fromEntries(
    data.points.map((point) => [point.id, { ...point, label: titled(point), steps: point.type !== "float" }]),
  );
  const picked = new Picked(query.getAll("point"), about, () => {
    watch();
    live.look(live.watch);
    load();
  });
  const range = new Range(live, query, () => load());
  const zoom = (from, until) => range.set(until - from, until);
  const trend = document.body.dataset.vendored === "yes" ? new Trend($("#trend"), { height: "fill", zoom }) : null;
  let asTable = false;
  let turn = 0;

  function watch() {
    live.watch = { devices: ["*"], points: picked.names, states: true, events: true };
  }

  function address() {
    const points = picked.names.map((name) => ["point", name]);
    const shown = new URLSearchParams([...points, ["span", String(Math.round(range.span))]]);
    if (!range.open) shown.set("to", range.to.toFixed(1));
    history.replaceState(null, "", `?${shown}`);
    const [from, until] = range.ends.map(ns);
    const told = { from, to: until, max_points: String(CSV_ROWS), format: "csv" };
    $("#as-csv").href = `/api/v1/history?${new URLSearchParams([...points, ...Object.entries(told)])}`;
  }

  async function load() {
    const mine = ++turn;
    address();
    range.show();
    const resolution = picked.lines.length ? await fill(() => mine === turn) : "";
    if (mine !== turn) return;
    setText($("#resolution"), resolution);
    if (trend) await trend.show(picked.lines, about);
    redraw();
    const spans = trend ? await runsIn(...range.ends) : [];
    if (mine !== turn || !trend) return;
    trend.spans = spans;
    redraw();
  }

  // Ask the history; returns the resolution of its answer, or why it failed.
  async function fill(wanted) {
    const [from, until] = range.ends;
    const rows = Math.max(400, Math.min(2000, $("#main").clientWidth));
    try {
      const found = await past(picked.names, from * 1e9, until * 1e9, rows);
      if (!wanted()) return "";
      found.forEach((series, index) => picked.lines[index].begin(series));
      for (const line of picked.lines)
        if (range.open && live.points.has(line.name)) line.take(live.points.get(line.name));
      const count = found.reduce((sum, series) => sum + series.time_ns.length, 0);
      return `${[...new Set(found.map((series) => series.resolution))].join(" and ")}, ${grouped(count)} rows`;
    } catch (error) {
      return `${error.message}: drawn from now on`;
    }
  }

  function redraw() {
    const [from, until] = range.ends;
    setText($("#range"), `${moment(from * 1e9)} to ${moment(until * 1e9)} UTC`);
    if (asTable) showTable(picked.lines, about, from, until);
    else trend?.draw(from, until, range.open && live.trusted ? range.now : 0);
  }

  $("#as-table").addEventListener("click", () => {
    asTable = !asTable;
    $("#as-table").setAttribute("aria-pressed", String(asTable));
    $("#table").hidden = !asTable;
    $("#trend").hidden = asTable;
    redraw();
  });
  if (!trend) $("#as-table").click();
  live.on("event", ({ action }) => {
    if (action === "run_began" || action === "run_over") load();
  });
  live.on("change", ({ points }) => {
    for (const line of picked.lines) if (range.open && points[line.name]) line.take(points[line.name]);
  });
  let drawn = 0;
  live.on("tick", () => {
    if (!range.open || live.nowNs() - drawn < DRAW_NS) return;
    drawn = live.nowNs();
    redraw();
  });
  watch();
  load();
}
