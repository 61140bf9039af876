// Law: a trend shows any points over any range, from the history, with a live tail; what it shows is in its address.
import { $, $$, data, el, setText } from "./dom.js";
import { NOTHING, moment, number, unit } from "./format.js";
import { choose } from "./finder.js";
import { Line, past } from "./series.js";
import { MOST, Trend, colour, dash, drawing } from "./trend.js";
import { note } from "./shell.js";

const TABLE_ROWS = 500;

export function page(live) {
  const about = Object.fromEntries(data.points.map((point) => [point.id, { ...point, label: `${point.device} ${point.channel ? `ch ${point.channel} ` : ""}${point.label}`, steps: point.type !== "float" }]));
  const asked = new URLSearchParams(location.search);
  const lines = asked.getAll("point").filter((name) => name in about).slice(0, MOST).map((name) => new Line(name));
  let span = Number(asked.get("span")) || 3600, to = Number(asked.get("to")) || null, asTable = false, turn = 0;
  const before = [];
  const trend = document.body.dataset.vendored === "yes" ? new Trend($("#trend"), { height: "fill", zoom: (from, until) => { before.push([span, to]); span = until - from; to = until; load(); } }) : null;
  const nowS = () => live.nowNs() / 1e9;
  const window_ = () => [(to ?? nowS()) - span, to ?? nowS()];
  const watch = () => { live.watch = { devices: ["*"], points: lines.map((line) => line.name), states: true, events: true }; };

  function picked() {
    $("#picked").replaceChildren(...lines.map((line, index) => {
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      sample.setAttribute("viewBox", "0 0 24 8");
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
      stroke.setAttribute("d", "M0 4H24"); stroke.setAttribute("stroke", colour(index)); stroke.setAttribute("stroke-width", "2"); stroke.setAttribute("stroke-dasharray", dash(index).join(" "));
      sample.append(stroke);
      return el("span", { role: "listitem" }, sample, about[line.name].label, el("button", { type: "button", "aria-label": `Remove ${about[line.name].label}`, onclick: () => { lines.splice(index, 1); changed(); } }, "×"));
    }));
    if (!lines.length) $("#picked").append(el("span", { class: "mut" }, "No point chosen yet"));
  }

  function address() {
    const query = new URLSearchParams(lines.map((line) => ["point", line.name]));
    query.set("span", String(Math.round(span)));
    if (to) query.set("to", to.toFixed(1));
    history.replaceState(null, "", `?${query}`);
    const [from, until] = window_();
    const csv = new URLSearchParams(lines.map((line) => ["point", line.name]));
    for (const [name, value] of [["from", String(Math.round(from * 1e9))], ["to", String(Math.round(until * 1e9))], ["max_points", "50000"], ["format", "csv"]]) csv.set(name, value);
    $("#as-csv").href = `/api/v1/history?${csv}`;
  }

  async function load() {
    const mine = ++turn, [from, until] = window_();
    address();
    buttons();
    if (lines.length) {
      try {
        const found = await past(lines.map((line) => line.name), from * 1e9, until * 1e9, Math.max(400, Math.min(2000, $("#main").clientWidth)));
        if (mine !== turn) return;
        found.forEach((series, index) => lines[index].begin(series));
        const tail = to === null;
        for (const line of lines) { const row = live.points.get(line.name); if (tail && row) line.take(row); }
        setText($("#resolution"), [...new Set(found.map((series) => `${series.resolution}, ${series.time_ns.length} rows`))].join(" · "));
      } catch (error) {
        setText($("#resolution"), `${error.message}: drawn from now on`);
      }
    } else setText($("#resolution"), "");
    if (mine !== turn) return;
    if (trend) await trend.show(lines, about);
    redraw();
  }

  function redraw() {
    const [from, until] = window_();
    setText($("#range"), `${moment(from * 1e9)} to ${moment(until * 1e9)} UTC`);
    if (asTable) table(from, until);
    else trend?.draw(from, until, to === null && live.trusted ? nowS() : 0);
  }

  async function table(from, until) {
    const join = trend ? (await drawing()).join : null, mine = lines.map((line) => line.columns(0));
    const joined = !mine.length ? [[]] : join ? join(mine) : mine[0];
    const rows = [];
    for (let i = joined[0].length - 1; i >= 0 && rows.length < TABLE_ROWS; i--) if (joined[0][i] >= from && joined[0][i] <= until) rows.push(i);
    $("#table thead").replaceChildren(el("tr", {}, el("th", { scope: "col" }, "UTC"), ...lines.map((line) => el("th", { scope: "col" }, about[line.name].label, el("span", { class: "u" }, unit(about[line.name].unit))))));
    $("#table tbody").replaceChildren(...rows.map((i) => el("tr", {}, el("th", { scope: "row" }, new Date(joined[0][i] * 1000).toISOString().slice(0, 23).replace("T", " ")),
      ...lines.map((line, k) => el("td", {}, joined[k * 3 + 1]?.[i] == null ? NOTHING : number(joined[k * 3 + 1][i], about[line.name].precision))))));
  }

  function buttons() {
    for (const button of $$("#presets [data-seconds]")) button.setAttribute("aria-pressed", String(to === null && Number(button.dataset.seconds) === span));
    $("#follow").setAttribute("aria-pressed", String(to === null));
    $("#back").disabled = !before.length;
  }

  function changed() {
    picked();
    watch();
    live.look(live.watch);
    load();
  }

  const input = $("#pick"), list = $("#pick-list");
  const draw = choose(input, list, {
    all: async () => data.points.map((point) => [about[point.id].label, point.id, unit(point.unit)]),
    show: ([label, id, unit_]) => [el("span", {}, label), el("small", {}, `${id} ${unit_}`)],
    pick: ([, id]) => {
      input.value = "";
      input.blur();
      if (lines.some((line) => line.name === id)) return;
      if (lines.length >= MOST) { note(`At most ${MOST} points are drawn at once.`); return; }
      lines.push(new Line(id));
      changed();
    },
  });
  const open = (on) => { list.hidden = !on; input.setAttribute("aria-expanded", String(on)); };
  input.addEventListener("focus", () => { open(true); draw(); });
  input.addEventListener("blur", () => open(false));
  input.addEventListener("keydown", (event) => { if (event.key === "Escape") input.blur(); });
  for (const button of $$("#presets [data-seconds]")) button.addEventListener("click", () => { before.push([span, to]); span = Number(button.dataset.seconds); to = null; load(); });
  $("#back").addEventListener("click", () => { [span, to] = before.pop(); load(); });
  $("#follow").addEventListener("click", () => { to = to === null ? nowS() : null; load(); });
  $("#as-table").addEventListener("click", () => {
    asTable = !asTable;
    $("#as-table").setAttribute("aria-pressed", String(asTable));
    $("#table").hidden = !asTable;
    $("#trend").hidden = asTable;
    redraw();
  });
  if (!trend) $("#as-table").click();
  live.on("change", (change) => { for (const line of lines) { const row = change.points[line.name]; if (row && to === null) line.take(row); } });
  let drawn = 0;
  live.on("tick", () => { if (to === null && live.nowNs() - drawn > 5e8) { drawn = live.nowNs(); redraw(); } });
  document.addEventListener("theme", picked);
  picked();
  watch();
  buttons();
  load();
}
