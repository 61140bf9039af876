// The trend of a run on its own page: one of the main points of the devices, over the time of the run.
import { $, data, el, setText } from "./dom.js";
import { Line, past } from "./series.js";
import { Trend } from "./trend.js";

const ROWS = 800;

export function runTrend() {
  const { points, span } = data,
    select = $("#which-point");
  select.replaceChildren(...points.map((point, index) => el("option", { value: String(index) }, point.label)));
  if (document.body.dataset.vendored !== "yes" || !points.length) return;
  const trend = new Trend($("#trend"), { height: 240 });
  const draw = async () => {
    const point = points[Number(select.value)],
      line = new Line(point.id);
    $("#trend-open").href = `/trends?point=${encodeURIComponent(point.id)}&span=${(span[1] - span[0]) / 1e9}&to=${span[1] / 1e9}`;
    try {
      const [series] = await past([point.id], span[0], span[1], ROWS);
      line.begin(series);
      setText($("#trend-told"), series.resolution);
    } catch (error) {
      setText($("#trend-told"), error.message);
    }
    await trend.show([line], { [point.id]: { ...point, steps: point.type !== "float" } });
    trend.spans = data.started ? [{ from: data.started / 1e9, to: (data.ended ?? span[1]) / 1e9, name: `run ${data.run}` }] : [];
    trend.draw(span[0] / 1e9, span[1] / 1e9, 0);
  };
  select.addEventListener("change", draw);
  draw();
}
