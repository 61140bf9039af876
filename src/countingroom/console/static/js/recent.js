// The last ten minutes of the selected value as a small chart: first from the history, then from the live feed.
import { $, el, setText } from "./dom.js";
import { Line, past } from "./series.js";
import { Trend } from "./trend.js";

const SPAN_S = 600;
const ROWS = 600;

export class Recent {
  constructor(live, model) {
    this.live = live;
    this.model = model;
    this.line = null;
    live.on("missed", async () => {
      if (this.line && this.trend && !(await this.begin(this.line))) this.draw();
    });
    this.trend = document.body.dataset.vendored === "yes" ? new Trend($("#trend"), { height: 236 }) : null;
    if (!this.trend) setText($("#trend"), "The drawing library is not installed.");
  }

  async show(point) {
    const { model } = this;
    const name = `${model.device}.${point.name}`;
    if (this.line?.name === name) return;
    const line = (this.line = new Line(name));
    setText($("#trend-title"), `${model.named(point)}, last 10 min`);
    $("#trend-open").href = `/trends?point=${encodeURIComponent(name)}`;
    if (!this.trend) return;
    const failed = await this.begin(line);
    if (this.line !== line) return;
    if (model.row(point.name)) line.take(model.row(point.name));
    const { unit = "", precision, deadband, limits, type } = point;
    const about = { label: model.named(point), unit, precision, deadband, limits, steps: type !== "float" };
    await this.trend.show([line], { [name]: about });
    if (failed) $("#trend").append(el("p", { class: "hint nothing" }, `${failed}: drawn from now on.`));
    this.draw();
  }

  // Load the past; returns why that failed, or "".
  async begin(line) {
    const now = this.live.nowNs();
    try {
      const [series] = await past([line.name], now - SPAN_S * 1e9, now, ROWS);
      if (series) line.begin(series);
      return "";
    } catch (error) {
      return error.message;
    }
  }

  take(points) {
    const news = this.line && points[this.line.name];
    if (news) this.line.take(news, this.live.nowNs() / 1e9);
  }

  draw() {
    if (!this.line || !this.trend) return;
    const now = this.live.nowNs() / 1e9;
    this.trend.draw(now - SPAN_S, now, this.live.trusted ? now : 0);
  }
}
