// Two runs side by side. The server compares what the run book holds; conditions and trends come from the history.
import { $, $$, data, el } from "./dom.js";
import { NOTHING, number, unit } from "./format.js";
import { Line, past } from "./series.js";
import { Trend } from "./trend.js";

const ROWS = 400;

export function page(live) {
  live.watch = { devices: [], points: [], states: false, events: false };
  $("#only").addEventListener("change", ({ target }) => {
    for (const tr of $$("#compared tbody tr")) tr.hidden = target.checked && !tr.classList.contains("differs");
  });
  const { points, spans } = data;
  const select = $("#which-point");
  select.replaceChildren(...points.map((point, index) => el("option", { value: String(index) }, point.label)));
  const trend = document.body.dataset.vendored === "yes" && points.length ? new Trend($("#trend"), { height: 260 }) : null;
  const draw = async (series) => {
    const point = points[Number(select.value)];
    if (!trend || !point) return;
    const lines = ["A", "B"].map((name, index) => {
      const line = new Line(name),
        one = series[index]?.find(({ point: id }) => id === point.id);
      if (one) line.begin(moved(one, spans[0][0] - spans[index][0]));
      return line;
    });
    const about = (name) => ({ ...point, label: name, steps: point.type !== "float" });
    await trend.show(lines, { A: about("A"), B: about("B") });
    const longest = Math.max(...spans.map(([from, to]) => to - from));
    trend.draw(spans[0][0] / 1e9, (spans[0][0] + longest) / 1e9, 0);
  };
  both(points, spans).then((series) => {
    conditions(points, series);
    const rows = (point) => series[0].find(({ point: id }) => id === point.id)?.time_ns.length ?? 0;
    select.value = String(points.reduce((best, point, index) => (rows(point) > rows(points[best]) ? index : best), 0));
    select.addEventListener("change", () => draw(series));
    draw(series);
  });
}

async function both(points, spans) {
  const names = points.map(({ id }) => id);
  if (!names.length) return [[], []];
  try {
    return await Promise.all(spans.map(([from, to]) => past(names, from, to, ROWS)));
  } catch (error) {
    $("#conditions-told").textContent = error.message;
    return [[], []];
  }
}

const moved = (series, by) => ({ ...series, time_ns: series.time_ns.map((ns) => ns + by) });

// The mean over the samples of a run; null where there is none.
function mean({ mean: means, count } = { mean: [], count: [] }) {
  let sum = 0,
    weight = 0;
  means.forEach((one, index) => {
    if (typeof one !== "number") return;
    const many = count?.[index] || 1;
    sum += one * many;
    weight += many;
  });
  return weight ? sum / weight : null;
}

// The lowest and the highest value of a run.
function reach({ low, high, mean: means } = { low: [], high: [], mean: [] }) {
  const numbers = [...low, ...high, ...means].filter((one) => typeof one === "number");
  return [Math.min(...numbers), Math.max(...numbers)];
}

function conditions(points, series) {
  const rows = points.map((point) => {
    const both = series.map((of) => of.find(({ point: id }) => id === point.id)),
      [a, b] = both.map((one) => mean(one));
    const by = a === null || b === null ? null : a - b;
    const shown = (value) => (value === null ? NOTHING : number(value, point.precision));
    const same = by !== null && Number(by.toFixed(point.precision)) === 0;
    const [[lowA, highA], [lowB, highB]] = both.map((one) => reach(one));
    return el(
      "tr",
      { class: by !== null && !same && (lowA > highB || lowB > highA) ? "differs" : "" },
      el("th", { scope: "row" }, point.label, el("span", { class: "u" }, ` ${unit(point.unit)}`)),
      el("td", { class: "nw" }, shown(a)),
      el("td", { class: "nw" }, shown(b)),
      el("td", { class: "nw" }, by === null ? "" : same ? "same" : `${by > 0 ? "+" : ""}${shown(by)}`.replace("-", "\u2212")),
    );
  });
  $("#conditions").replaceChildren(...rows);
}
