// The rows of a trend as a table, newest first.
import { $, el } from "./dom.js";
import { NOTHING, number, unit } from "./format.js";
import { QUALITIES } from "./series.js";
import { onWall, zoneAt, zoneOf } from "./zone.js";

const MOST_ROWS = 500;

// The times of all lines merged: [seconds, {name: [mean, quality]}], newest first.
function rowsOf(lines, from, until) {
  const rows = new Map();
  for (const line of lines) {
    line.t.forEach((seconds, index) => {
      if (seconds < from || seconds > until) return;
      if (!rows.has(seconds)) rows.set(seconds, {});
      rows.get(seconds)[line.name] = [line.mean[index], line.quality[index]];
    });
  }
  return [...rows].sort(([one], [other]) => other - one).slice(0, MOST_ROWS);
}

// table: where it is shown.
export function showTable(table, lines, about, from, until) {
  const zone = zoneOf(from, until),
    changes = zone !== zoneAt(from); // summer time begins or ends: an hour of the wall may be there twice
  const title = ({ label, unit: text }) => el("th", { scope: "col" }, label, el("span", { class: "u" }, unit(text)));
  $("thead", table).replaceChildren(
    el("tr", {}, el("th", { scope: "col" }, zone), ...lines.map((line) => title(about[line.name]))),
  );
  const time = (seconds) => onWall(seconds).toISOString().slice(0, 23).replace("T", " ") + (changes ? ` ${zoneAt(seconds)}` : "");
  const cell = ([mean, quality] = [null, 0], { precision }) => {
    const value = mean == null ? (quality ? "" : NOTHING) : number(mean, precision),
      text = [value, quality ? QUALITIES[quality] : ""].filter(Boolean).join(" ");
    return el("td", quality >= 2 ? { class: "stale" } : {}, text);
  };
  $("tbody", table).replaceChildren(
    ...rowsOf(lines, from, until).map(([seconds, means]) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, time(seconds)),
        ...lines.map((line) => cell(means[line.name], about[line.name])),
      ),
    ),
  );
}
