// Stretches of a chart without a present value, behind its lines: a faint band and, where it fits, the quality.
import { QUALITIES } from "./series.js";

const paint = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function outages(plot, { lines, about, nowS, range }) {
  const { ctx, bbox } = plot,
    ratio = devicePixelRatio,
    until = Math.min(nowS || range?.[1] || 0, range?.[1] ?? 0),
    stale = paint("--stale");
  const at = (seconds) =>
    Math.max(bbox.left, Math.min(bbox.left + bbox.width, plot.valToPos(seconds, "x", true)));
  ctx.save();
  ctx.font = `${11 * ratio}px Inter, system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  lines.forEach((line, index) => {
    for (const { from, to, quality } of line.outages(until)) {
      const left = at(from),
        width = at(to) - left,
        name = lines.length > 1 ? `${about[line.name].label}: ${QUALITIES[quality]}` : QUALITIES[quality];
      if (width <= 0) continue;
      ctx.fillStyle = `color-mix(in srgb, ${stale} 10%, transparent)`;
      ctx.fillRect(left, bbox.top, width, bbox.height);
      if (ctx.measureText(name).width + 8 * ratio > width) continue;
      ctx.fillStyle = stale;
      ctx.fillText(name, left + 4 * ratio, bbox.top + bbox.height - (6 + 14 * index) * ratio);
    }
  });
  ctx.restore();
}
