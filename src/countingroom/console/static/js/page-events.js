// The page of events, newest first, searched in the store by the server; new events are added as they come. A command and
// its end are one line.
import { $, $$, el } from "./dom.js";
import { isCommand, isEnd, sentence } from "./command-line.js";
import { iso, moment } from "./format.js";
import { glyph } from "./parts.js";

const MOST = 2000;
const PAGES_AT_ONCE = 8; // of a search that has found nothing yet
const WAIT_MS = 250; // after the last key

// The page of what an event is about; null: there is none.
const OF_EXPERIMENT = { _experiment: "/detectors", _description: "/description" };
const PLACES = { devices: (name) => `/devices/${name}`, runs: (name) => `/partitions/${name}`, alarms: () => "/alarms", results: () => "/results", fleet: () => "/fleet" };
function pageOf({ department, source, principal }, live) {
  if (OF_EXPERIMENT[source]) return OF_EXPERIMENT[source];
  if (principal === `rule.${source}`) return "/rules";
  const kind = source in live.devices ? "devices" : source in live.partitions ? "runs" : department;
  return PLACES[kind]?.(encodeURIComponent(source)) ?? null;
}
const sourceOf = (event, live) => {
  const text = event.source.replace(/^_/, "") + (event.channel ? ` ch ${event.channel}` : ""),
    href = pageOf(event, live);
  return href ? el("a", { href }, text) : text;
};

export function page(live) {
  const form = $("#filter"),
    rows = $("#rows"),
    asked = new URLSearchParams(location.search);
  for (const name of ["source", "kind", "from", "to", "text"]) if (asked.has(name)) form.elements[name].value = asked.get(name);
  const commands = new Map(), // command id -> {command, end, row}
    shown = new Set();
  let next = null,
    turn = 0;

  const filter = () => Object.fromEntries(new FormData(form));
  const matches = (event) => {
    const { source, kind, text, to } = filter();
    if (to && to.trim() !== "now") return false; // an end in the past: nothing new belongs to it
    return (!source || event.source === source) && (!kind || event.kind === kind) && fits(event, text);
  };
  const fits = (event, text) =>
    !text ||
    `${event.source} ${event.channel} ${event.message} ${event.principal} ${event.action} ${event.cause?.message ?? ""}`
      .toLowerCase()
      .includes(text.toLowerCase());
  const line = (event, what = event.message, kind = event.kind) =>
    el(
      "tr",
      { "data-kind": kind, "data-sequence": String(event.sequence), title: event.cause ? event.cause.message : "" },
      el("td", { class: "nw" }, el("time", { datetime: iso(event.time_ns) }, moment(event.time_ns))),
      el("td", {}, glyph(event.severity)),
      el("td", { class: "nw" }, sourceOf(event, live)),
      el("td", { class: "nw mut" }, kind),
      el("td", {}, what),
      el("td", { class: "nw mut" }, event.principal),
    );

  // The line of an event, or null where it completes the line of its command. A command and its end come in either order.
  function take(event) {
    if (shown.has(event.sequence)) return null;
    shown.add(event.sequence);
    if (!isCommand(event) && !isEnd(event)) return line(event);
    const known = commands.get(event.command_id) ?? {};
    known[isCommand(event) ? "command" : "end"] = event;
    commands.set(event.command_id, known);
    const { command, end, row } = known;
    const told = command ? line(end ?? command, sentence(command, end), end?.kind ?? "command") : line(event);
    known.row = told;
    if (!row?.isConnected) return told;
    row.replaceWith(told);
    return null;
  }

  function query() {
    const given = new URLSearchParams(Object.entries(filter()).filter(([, value]) => value.trim()));
    for (const a of $$("[data-export]")) a.href = `/api/v1/events/export?format=${a.dataset.export}&${given}`;
    return given;
  }

  async function load(before) {
    const mine = ++turn,
      searching = $("#searching");
    if (!before) {
      rows.replaceChildren();
      commands.clear();
      shown.clear();
    }
    next = before;
    $("#none").hidden = true;
    for (let pages = 0; pages < PAGES_AT_ONCE; pages++) {
      const given = query();
      given.set("limit", "200");
      if (next) given.set("before", String(next));
      const answer = await fetch(`/api/v1/events?${given}`);
      const told = await answer.json();
      if (mine !== turn) return;
      if (!answer.ok) {
        rows.append(el("tr", {}, el("td", { colSpan: 6 }, told.cause.message + (told.cause.suggestion ? `; ${told.cause.suggestion}` : ""))));
        next = null;
        break;
      }
      for (const event of told.events) {
        const row = take(event);
        if (row) rows.append(row);
      }
      next = told.next_before;
      if (next === null || told.events.length) break;
      searching.hidden = false;
      searching.textContent = "Searching older events …";
    }
    searching.hidden = true;
    $("#older").disabled = next === null;
    $("#none").hidden = rows.childElementCount > 0;
  }

  let timer = null;
  form.addEventListener("input", () => {
    const given = query();
    history.replaceState(null, "", given.size ? `?${given}` : location.pathname);
    clearTimeout(timer);
    timer = setTimeout(() => load(null), WAIT_MS);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("#older").addEventListener("click", () => {
    if (next) load(next);
  });
  live.on("event", (event) => {
    if (!matches(event)) return;
    const row = take(event);
    if (row) rows.prepend(row);
    $("#none").hidden = true;
    for (const old of $$("tr", rows).slice(MOST)) old.remove();
  });
  live.on("change", ({ snapshot }) => {
    if (snapshot) load(null);
  });
  live.on("link", () => {
    $("#feed").textContent = live.trusted ? "live" : "not live";
  });
  query();
}
