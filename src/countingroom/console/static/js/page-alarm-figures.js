// The page of the figures of EEMUA 191: each with its target and verdict, and pictures of what they are made of.
import { $, el, setText } from "./dom.js";
import { duration, lasting, moment } from "./format.js";
import { glyph } from "./parts.js";
import { Range } from "./range.js";
import { RatePicture, lying } from "./rate-picture.js";

const AGAIN_MS = 60_000;
const DAY_S = 86_400;
const PRIORITIES = ["high", "medium", "low"];
const RECOMMENDED = [5, 15, 80];
const SIGNS = { manageable: 3, "over-demanding": 2 };
const s = (ns) => ns / 1e9;

function number(one) {
  if (one.value === null) return "–";
  if (one.unit === "s") return duration(one.value);
  const digits = Number.isInteger(one.value) ? 0 : one.value < 10 ? 2 : 1;
  return `${one.value.toFixed(digits)}${one.unit ? ` ${one.unit}` : ""}`;
}

const verdict = (word) => el("span", { class: `verdict ${word.replace(" ", "-")}` }, SIGNS[word] ? glyph(SIGNS[word]) : null, word);

const alarmLink = ({ id, title }) => el("a", { href: `/alarms?view=all#${id}`, title: id }, title || id);

function rows(place, found, nothing, columns) {
  place.replaceChildren(...(found.length ? found : [el("tr", {}, el("td", { class: "mut", colSpan: columns }, nothing))]));
}

export function page(live) {
  live.watch = { devices: [], points: false, states: false, events: false, partitions: [] };
  const query = new URLSearchParams(location.search);
  if (!query.has("span") && !query.has("from")) query.set("span", String(DAY_S));
  const picture = new RatePicture($("#rate"), $("#rate-told"));
  let turn = 0,
    operators = Number(query.get("operators")) || 1,
    area = query.get("area") ?? "";
  $("#operators").value = String(operators);
  $("#area").value = area;
  const range = new Range(live, query, () => load());

  function address() {
    const asked = new URLSearchParams({ span: String(Math.round(range.span)) });
    if (!range.open) asked.set("to", range.to.toFixed(1));
    if (area) asked.set("area", area);
    if (operators > 1) asked.set("operators", String(operators));
    history.replaceState(null, "", `?${asked}`);
  }

  async function load() {
    const mine = ++turn,
      [from, to] = range.ends,
      asked = new URLSearchParams({ from: String(Math.round(from * 1e3)), to: String(Math.round(to * 1e3)), area, operators: String(operators) });
    address();
    range.show();
    for (const link of document.querySelectorAll("[data-csv]")) link.href = `/api/v1/alarms/statistics?${asked}&format=csv&table=${link.dataset.csv}`;
    setText($("#counting"), "Counting …");
    let told = null;
    try {
      const answer = await fetch(`/api/v1/alarms/statistics?${asked}`);
      told = await answer.json();
    } catch {
      told = { cause: { message: "The console does not answer." } };
    }
    if (mine !== turn) return;
    if (told.cause) {
      setText($("#counting"), told.cause.message);
      return;
    }
    show(told);
  }

  function show(told) {
    const { counted } = told;
    setText($("#counting"), `${moment(counted.from_ns).slice(0, 16)} to ${moment(counted.to_ns).slice(0, 16)} UTC: ${counted.announced} announced, of ${counted.alarms} alarms`);
    $("#figures").replaceChildren(
      ...told.figures.map((one) => el("tr", { "data-figure": one.key }, el("th", { scope: "row" }, one.title), el("td", { class: "num" }, number(one)), el("td", { class: "mut" }, one.target), el("td", {}, one.verdict === "not judged" ? el("span", { class: "mut" }, one.target ? "too few to judge" : "no target") : verdict(one.verdict)))),
    );
    rate(counted);
    actors(counted);
    acknowledged(told);
    priorities(counted);
    floods(counted);
    const counts = (found) => found.map((one) => el("tr", {}, el("td", { class: "num" }, String(one.count)), el("td", {}, alarmLink(one)), el("td", { class: "mut" }, one.area)));
    rows($("#chattering"), counts(counted.chattering), "No alarm chattered.", 3);
    rows($("#fleeting"), counts(counted.fleeting), "No alarm was fleeting.", 3);
    rows($("#stale"), told.now.stale.map((one) => el("tr", {}, el("td", { class: "nw" }, moment(one.since_ns).slice(0, 16)), el("td", {}, alarmLink(one)), el("td", { class: "mut" }, one.area))), "No alarm has been active for more than 24 h.", 3);
  }

  function rate(counted) {
    const width = s(counted.bin_ns),
      name = width === 3600 ? "Alarms per hour" : width === DAY_S ? "Alarms per day" : `Alarms per ${duration(width)}`;
    setText($("#rate-title"), name);
    $("#rate").setAttribute("aria-label", `${name}, ${counted.flood_count} ${counted.flood_count === 1 ? "flood" : "floods"}`);
    picture.show({
      bins: counted.bins.map(({ begin_ns: from, counts }) => ({ from: s(from), counts })),
      floods: counted.floods.map(({ begin_ns: from, end_ns: to, count }) => ({ from: s(from), to: s(to ?? counted.to_ns), count })),
      width,
      from: s(counted.from_ns),
      to: s(counted.to_ns),
    });
  }

  function actors(counted) {
    const most = counted.actors[0]?.count ?? 1;
    setText($("#actors-told"), counted.announced ? `${(100 * counted.actors_share).toFixed(0)} % of all` : "");
    rows($("#actors"), counted.actors.map((one) => el("tr", {}, el("td", {}, alarmLink(one)), el("td", { class: "bar" }, lying((100 * one.count) / most)), el("td", { class: "num nw" }, `${one.count} · ${(100 * one.share).toFixed(1)} %`))), "Nothing was announced.", 3);
  }

  function acknowledged(told) {
    const { histogram, count, waiting } = told.counted.acknowledged,
      most = Math.max(1, ...histogram),
      names = [...told.edges_s.map((edge) => `up to ${duration(edge)}`), `over ${duration(told.edges_s.at(-1))}`];
    setText($("#acknowledged-told"), `${count} acknowledged${waiting ? `, ${waiting} not` : ""}`);
    rows($("#acknowledged"), histogram.map((number_, index) => el("tr", {}, el("td", { class: "nw" }, names[index]), el("td", { class: "bar" }, lying((100 * number_) / most)), el("td", { class: "num" }, String(number_)))), "", 3);
  }

  function priorities({ priorities: found }) {
    const sum = found[0] + found[1] + found[2];
    const row = (name, index) => {
      const part = sum ? (100 * found[index]) / sum : 0;
      return el("tr", {}, el("td", { class: "nw" }, glyph(index + 1), ` ${name}`), el("td", { class: "bar" }, lying(part, `r${index + 1}`, RECOMMENDED[index])), el("td", { class: "num nw" }, sum ? `${part.toFixed(0)} % · ${RECOMMENDED[index]} %` : `– · ${RECOMMENDED[index]} %`));
    };
    $("#priorities").replaceChildren(...PRIORITIES.map(row));
    setText($("#priorities-told"), found[3] ? `and ${found[3]} for information` : "");
  }

  function floods({ floods: found, flood_count: count, to_ns: to }) {
    setText($("#floods-told"), count > found.length ? `the largest ${found.length} of ${count}` : "");
    const row = ({ begin_ns: begin, end_ns: end, count: alarms, peak }) =>
      el("tr", {}, el("td", { class: "nw" }, el("a", { href: `/events?from=${Math.round(begin / 1e6)}&to=${Math.round((end ?? to) / 1e6)}` }, moment(begin).slice(0, 16))), el("td", { class: "nw" }, end ? lasting(s(end - begin)) : "goes on"), el("td", { class: "num" }, String(alarms)), el("td", { class: "num" }, String(peak)));
    rows($("#floods"), found.map(row).reverse(), "There was no flood.", 4);
  }

  async function areas() {
    const answer = await fetch("/api/v1/alarms?state=all&limit=1").catch(() => null);
    if (answer?.ok) $("#areas").replaceChildren(...(await answer.json()).areas.map((one) => el("option", { value: one })));
  }

  $("#area").addEventListener("change", (event) => {
    area = event.target.value.trim();
    load();
  });
  $("#operators").addEventListener("change", (event) => {
    operators = Math.max(1, Math.min(100, Math.round(Number(event.target.value)) || 1));
    event.target.value = String(operators);
    load();
  });
  setInterval(() => range.open && !document.hidden && load(), AGAIN_MS);
  areas();
  range.runs();
  load();
}
