// What nodes and instances use: a small trend of the last hour beside the present value of each point.
import { $, data, el, setClass, setText } from "./dom.js";
import { value } from "./format.js";
import { Line } from "./series.js";
import { begin, sketch } from "./sparks.js";

const SPAN_S = 3600;

function svg() {
  const node = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  node.setAttribute("class", "spark");
  node.setAttribute("viewBox", "0 0 300 44");
  node.setAttribute("preserveAspectRatio", "none");
  node.setAttribute("aria-hidden", "true");
  for (const name of ["line", "gap"]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", name);
    node.append(path);
  }
  return node;
}

export function fleetUse(live) {
  const cells = new Map(),
    sparks = new Map();
  for (const one of data.use) {
    const node = svg(),
      present = el("b", {}, "–"),
      name = `${one.of} ${one.label}`.trim();
    cells.set(one.point, { present, one });
    sparks.set(one.point, { node, line: new Line(one.point) });
    $("#use-rows").append(el("a", { class: "fl-use", href: `/trends?point=${encodeURIComponent(one.point)}&span=${SPAN_S}`, "aria-label": `Trend of ${name}` }, el("span", {}, name), present, node));
  }
  $("#use").hidden = !data.use.length;
  live.watch = { ...live.watch, points: [...cells.keys()] };
  const draw = () => {
    for (const spark of sparks.values()) sketch(spark, live.nowNs() / 1e9, SPAN_S);
  };
  const anew = () => begin(live, sparks, SPAN_S).then(draw);
  live.on("missed", anew);
  live.on("change", ({ points }) => {
    const rows = Object.entries(points).filter(([name]) => cells.has(name));
    for (const [name, row] of rows) {
      const { present, one } = cells.get(name);
      setText(present, row[0] === null ? "–" : `${value({ type: "float", precision: one.precision }, row[0])} ${one.unit}`);
      setClass(present, row[3] ? `f${row[3]}` : row[1] >= 2 ? "old" : "");
      sparks.get(name).line.take(row, live.nowNs() / 1e9);
    }
    if (rows.length) draw();
  });
  anew();
}
