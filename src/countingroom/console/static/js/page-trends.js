// The page of trends: any points in up to four plots over one range, from the history, continued by the live feed. The
// address holds the selection.
import { $, data } from "./dom.js";
import { Range } from "./range.js";
import { runsIn } from "./run-spans.js";
import { SavedViews } from "./saved-views.js";
import { note } from "./shell.js";
import { inLine } from "./trend.js";
import { alarmsIn } from "./trend-alarms.js";
import { Plot } from "./trend-plot.js";

const DRAW_NS = 5e8;
const ALARMS_MS = 1000; // after an event of an alarm: a flood is one question
const MOST_PLOTS = 4;

const titled = (point) => `${point.device} ${point.channel ? `ch ${point.channel} ` : ""}${point.label}`;
const key = (name, index) => (index ? `${name}${index + 1}` : name);

export function page(live) {
  const query = new URLSearchParams(data.view?.query ?? location.search);
  const about = Object.fromEntries(
    data.points.map((point) => [point.id, { ...point, label: titled(point), steps: point.type !== "float" }]),
  );
  const plots = [];
  let waiting = 0;
  const views = new SavedViews(live);
  const range = new Range(live, query, () => load());
  const self = { live, range, about, address, changed, remove, drawn };

  function add(names, log) {
    const plot = new Plot(self, names, log);
    plots.push(plot);
    $("#plots").append(plot.node);
  }

  // The axes of a plot have their width a moment after it is drawn.
  function drawn() {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      inLine(plots.map((plot) => plot.trend));
    });
  }

  function remove(plot) {
    plots.splice(plots.indexOf(plot), 1);
    plot.node.remove();
    changed();
  }

  function changed() {
    watch();
    live.look(live.watch);
    load();
  }

  function watch() {
    const names = new Set(plots.flatMap((plot) => plot.picked.names));
    live.watch = { devices: ["*"], points: [...names], states: true, events: true };
  }

  function address() {
    const points = plots.flatMap((plot, index) => plot.picked.names.map((name) => [key("point", index), name]));
    const logs = plots.flatMap((plot, index) => (plot.log ? [[key("log", index), "1"]] : []));
    const shown = new URLSearchParams([...points, ...logs, ["span", String(Math.round(range.span))]]);
    if (!range.open) shown.set("to", range.to.toFixed(1));
    history.replaceState(null, "", `?${views.now(shown.toString())}`);
  }

  function load() {
    address();
    range.show();
    $("#add-plot").disabled = plots.length >= MOST_PLOTS;
    $("#plots").classList.toggle("one", plots.length === 1);
    const spans = runsIn(...range.ends);
    const alarms = inAlarm();
    for (const plot of plots) plot.load(spans, alarms);
  }

  const inAlarm = () => alarmsIn(plots.flatMap((plot) => plot.picked.names), ...range.ends);
  let due = null;
  function alarmsChanged({ data: told }) {
    const names = plots.flatMap((plot) => plot.picked.names);
    if (due || !names.some((name) => told?.alarm === `point.${name}`)) return;
    due = setTimeout(() => {
      due = null;
      const alarms = inAlarm();
      for (const plot of plots) plot.loadAlarms(alarms);
    }, ALARMS_MS);
  }

  for (let index = 0; index < MOST_PLOTS; index++) {
    const names = query.getAll(key("point", index));
    if (names.length || !index) add(names, query.has(key("log", index)));
  }
  const gone = [...query].filter(([word, name]) => word.startsWith("point") && !(name in about)).map(([, name]) => name);
  if (gone.length) note("Some points of this address are not there.", { bad: true, detail: gone.join(", ") });
  $("#add-plot").addEventListener("click", () => {
    add([], false);
    changed();
    $("input", plots.at(-1).node).focus();
  });
  live.on("event", (event) => {
    const { action, department } = event;
    if (department === "alarms") alarmsChanged(event);
    if (action === "run_began" || action === "run_over") {
      load();
      range.runs();
    }
  });
  live.on("change", ({ points, snapshot }) => {
    if (snapshot && range.open) load();
    for (const plot of plots)
      for (const line of plot.lines)
        if (range.open && points[line.name]) line.take(points[line.name], live.nowNs() / 1e9);
  });
  let drawnNs = 0;
  live.on("tick", () => {
    if (!range.open || live.nowNs() - drawnNs < DRAW_NS) return;
    drawnNs = live.nowNs();
    const cut = plots.flatMap((plot) => plot.lines).filter((line) => line.isCut);
    for (const line of cut) line.isCut = false;
    if (cut.length) load();
    for (const plot of plots) plot.redraw();
  });
  watch();
  load();
  range.runs();
}
