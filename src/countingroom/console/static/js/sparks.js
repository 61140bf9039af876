// Small lines of the last minutes of a point: the past from the history, the newest part from the live feed.
import { $ } from "./dom.js";
import { Line, past } from "./series.js";

const SPAN_S = 600;

export async function begin(live, sparks, spanS = SPAN_S) {
  const now = live.nowNs(),
    names = [...sparks.keys()];
  for (let i = 0; i < names.length; i += 16) {
    try {
      for (const series of await past(names.slice(i, i + 16), now - spanS * 1e9, now, 300)) {
        const spark = sparks.get(series.point),
          tail = spark.line;
        spark.line = new Line(series.point);
        spark.line.begin(series);
        for (let k = 0; k < tail.t.length; k++) {
          const mean = tail.mean[k];
          spark.line.add(tail.t[k], mean, mean, mean, tail.quality[k]);
        }
        spark.line.last = tail.last;
      }
    } catch {
      return; /* no history: the lines grow from now on */
    }
  }
}

export function sketch({ node, line }, nowS, spanS = SPAN_S) {
  const [t, mean] = line.columns(nowS);
  const shown = mean.filter((one, i) => one !== null && t[i] >= nowS - spanS);
  if (!shown.length) return;
  const low = Math.min(...shown),
    high = Math.max(...shown),
    room = Math.max(high - low, Math.abs(high) * 0.004, 1e-6);
  const middle = (low + high) / 2;
  let path = "",
    pen = false;
  for (let i = 0; i < t.length; i++) {
    if (t[i] < nowS - spanS) continue;
    if (mean[i] === null) {
      pen = false;
      continue;
    }
    const x = ((300 * (t[i] - nowS + spanS)) / spanS).toFixed(1),
      y = (22 - (34 * (mean[i] - middle)) / room).toFixed(1);
    path += pen ? `H${x}V${y}` : `M${x} ${y}`;
    pen = true;
  }
  $(".line", node).setAttribute("d", path);
  const at = (seconds) => Math.max(0, (300 * (seconds - nowS + spanS)) / spanS).toFixed(1),
    outages = line.outages(nowS).filter(({ to }) => to > nowS - spanS);
  $(".gap", node)?.setAttribute("d", outages.map(({ from, to }) => `M${at(from)} 40H${at(to)}`).join(""));
}
