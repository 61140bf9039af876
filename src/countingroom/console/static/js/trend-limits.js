// The limits of the points of a chart as named lines. A name is written where it hides no other one.
import { number, unit as unitOf } from "./format.js";

const HEIGHT = 14;

// about: of each point {label, limits, precision, unit}; several: whether the chart has other points, so that the name of
// the point is part of the name of its limit.
export function limitsOf(about, several) {
  const found = new Map();
  for (const { label, limits = {}, precision = 2, unit } of about) {
    for (const [kind, value] of Object.entries(limits)) {
      if (value == null) continue;
      const word = kind.split("_")[0],
        key = `${word} ${value}`;
      const same = found.get(key);
      if (same) {
        same.of.push(label);
        continue;
      }
      found.set(key, { value, word, of: [label], told: `${number(value, precision)} ${unitOf(unit)}` });
    }
  }
  return [...found.values()].map(({ value, word, of, told }) => {
    const whose = several ? ` ${of.length > 1 ? `${of.length} points` : of[0]}` : "";
    return { value, name: `${word} limit${whose} ${told}`, left: word === "alarm", colour: word === "alarm" ? "--p2" : "--p3" };
  });
}

export function drawLimits(plot, marks, paint) {
  const { ctx, bbox } = plot,
    ratio = devicePixelRatio,
    taken = [],
    names = [];
  ctx.save();
  ctx.font = `${11 * ratio}px Inter, system-ui, sans-serif`;
  ctx.textAlign = "left"; // that of the axis drawn last is right: a name began left of the plot
  ctx.textBaseline = "alphabetic";
  for (const { value, scale, name, left, colour } of marks) {
    const y = plot.valToPos(value, scale, true);
    if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
    ctx.strokeStyle = paint(colour);
    ctx.lineWidth = 1.4 * ratio;
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    const wide = ctx.measureText(name).width,
      place = placeOf({ y, wide, left, bbox, ratio, taken });
    if (!place) continue; // no room: its line is drawn, and the table names it
    taken.push(place);
    names.push({ name, colour, ...place });
  }
  for (const { name, colour, x, y, wide } of names) {
    ctx.fillStyle = paint("--panel");
    ctx.fillRect(x - 2 * ratio, y - 10 * ratio, wide + 4 * ratio, 13 * ratio);
    ctx.fillStyle = paint(colour);
    ctx.fillText(name, x, y);
  }
  ctx.restore();
}

// Above its line, else below it, at its own side, else at the other one. All lines are drawn first, then all names.
function placeOf({ y, wide, left, bbox, ratio, taken }) {
  const sides = [bbox.left + 6 * ratio, bbox.left + bbox.width - 6 * ratio - wide],
    heights = left ? [y - 5 * ratio, y + 13 * ratio] : [y + 13 * ratio, y - 5 * ratio];
  for (const x of left ? sides : [...sides].reverse())
    for (const at of heights) {
      const inside = at - 10 * ratio >= bbox.top && at <= bbox.top + bbox.height - 2 * ratio;
      const free = taken.every((one) => Math.abs(one.y - at) >= HEIGHT * ratio || one.x > x + wide + 8 * ratio || x > one.x + one.wide + 8 * ratio);
      if (inside && free) return { x, y: at, wide };
    }
  return null;
}
