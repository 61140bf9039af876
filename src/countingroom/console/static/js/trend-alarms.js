// Where the points of a trend were in alarm: a strip below the lines in the colour of the priority, a faint tint behind
// them, and the same in words.
import { lasting } from "./format.js";

const STRIP = 6;
const WORDS = ["", "high", "medium", "low", "for information"];
const COLOURS = ["", "--p1", "--p2", "--p3", "--txt3"];

// Point -> [{from, to, priority}] in seconds; `to` is null while it is in alarm.
export async function alarmsIn(points, fromS, toS) {
  if (!points.length) return new Map();
  const ns = (seconds) => String(Math.round(seconds * 1e9)),
    asked = new URLSearchParams([...new Set(points)].map((name) => ["point", name]));
  asked.set("from", ns(fromS));
  asked.set("to", ns(toS));
  const answer = await fetch(`/api/v1/alarms/spans?${asked}`).catch(() => null);
  if (!answer?.ok) return new Map();
  const { points: found } = await answer.json();
  return new Map(found.map(({ point, spans }) => [point, spans.map(({ begin_ns: from, end_ns: to, priority }) => ({ from: from / 1e9, to: to && to / 1e9, priority }))]));
}

export function drawAlarms(plot, { lines, alarms, nowS, range }, paint) {
  const { ctx, bbox } = plot,
    ratio = devicePixelRatio,
    until = range?.[1] ?? nowS ?? 0;
  const at = (seconds) => Math.max(bbox.left, Math.min(bbox.left + bbox.width, plot.valToPos(seconds, "x", true)));
  const rows = lines.filter((line) => alarms.get(line.name)?.length);
  ctx.save();
  rows.forEach((line, row) => {
    for (const { from, to, priority } of alarms.get(line.name)) {
      const left = at(from),
        width = Math.max(2 * ratio, at(to ?? until) - left),
        colour = paint(COLOURS[priority]);
      ctx.fillStyle = `color-mix(in srgb, ${colour} 13%, transparent)`;
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.fillStyle = colour;
      ctx.fillRect(left, bbox.top + bbox.height - (row + 1) * (STRIP + 1) * ratio, width, STRIP * ratio);
    }
  });
  ctx.restore();
}

// "In alarm: Bath 2 times, 12 min in all, now high"
export function alarmsText(lines, about, alarms, untilS) {
  const told = lines.flatMap(({ name }) => {
    const spans = alarms.get(name) ?? [];
    if (!spans.length) return [];
    // A span that follows another without a gap is a change of priority.
    const times = spans.filter(({ from }, index) => !index || spans[index - 1].to !== from).length,
      seconds = spans.reduce((sum, { from, to }) => sum + (to ?? untilS) - from, 0),
      worst = Math.min(...spans.map(({ priority }) => priority)),
      open = spans.at(-1).to === null;
    return [`${about[name].label} ${times === 1 ? "once" : `${times} times`}, ${lasting(seconds)} in all, at most ${WORDS[worst]}${open ? `, ${WORDS[spans.at(-1).priority]} at the end` : ""}`];
  });
  return told.length ? `In alarm: ${told.join("; ")}` : "";
}
