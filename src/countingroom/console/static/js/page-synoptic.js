// The page of a synoptic: the drawing, and the same values as a table.
import { $, $$, el, setClass, setText } from "./dom.js";
import { setGlyph, glyph } from "./parts.js";
import { synoptics } from "./synoptic.js";

export function page(live) {
  const drawing = synoptics(live);
  live.watch = { devices: drawing.devices, points: drawing.points, states: true, events: true, partitions: drawing.partitions };
  const named = new Map();
  for (const one of drawing.shown) {
    const { kind, target } = one.bound;
    if (!["synoptic", "page"].includes(kind) && !named.has(`${kind} ${target}`)) named.set(`${kind} ${target}`, one);
  }
  const rows = [...named.values()].map((one) => row(one));
  $("#sy-table tbody").replaceChildren(...rows.map(({ tr }) => tr));
  drawing.onChange(() => {
    for (const { one, mark, value, quality, time } of rows) {
      const now = one.now;
      setGlyph(mark, now.level);
      setText(value, now.told);
      setClass(value, now.level ? `num f${now.level}` : "num");
      setText(quality, now.words);
      setText(time, now.time);
    }
  });
  if (!rows.length) $("#sy-table tbody").append(el("tr", {}, el("td", { colspan: "5", class: "mut" }, "Nothing of the drawing is bound.")));
  for (const a of $$(".sy")) a.addEventListener("focus", () => a.scrollIntoView({ block: "nearest", inline: "nearest" }));
}

function row(one) {
  const mark = glyph(0),
    value = el("td", { class: "num" }),
    quality = el("td"),
    time = el("td", { class: "nw" });
  const tr = el("tr", {}, el("td", {}, mark), el("td", {}, el("a", { href: one.href }, one.name)), value, quality, time);
  return { one, tr, mark, value, quality, time };
}
