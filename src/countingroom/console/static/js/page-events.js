// The page of events, newest first, filtered by the server where it can and by text here; new events are added as they
// come.
import { $, $$, el } from "./dom.js";
import { moment } from "./format.js";
import { glyph } from "./parts.js";

const MOST = 2000;

const sourceOf = ({ department, source }) =>
  department !== "runs"
    ? `/devices/${encodeURIComponent(source)}`
    : source === "_experiment"
      ? "/detectors"
      : `/partitions/${encodeURIComponent(source)}`;

export function page(live) {
  const form = $("#filter"),
    rows = $("#rows"),
    asked = new URLSearchParams(location.search);
  for (const name of ["source", "kind", "text"]) if (asked.has(name)) form.elements[name].value = asked.get(name);
  let next = null,
    turn = 0;

  const matches = (event) => {
    const { source, kind, text } = Object.fromEntries(new FormData(form));
    return (!source || event.source === source) && (!kind || event.kind === kind) && fits(event, text);
  };
  const fits = (event, text) =>
    !text ||
    `${event.source} ${event.channel} ${event.message} ${event.principal} ${event.action}`
      .toLowerCase()
      .includes(text.toLowerCase());
  const line = (event) =>
    el(
      "tr",
      { "data-kind": event.kind, "data-sequence": String(event.sequence), title: event.cause ? event.cause.message : "" },
      el("td", { class: "nw" }, moment(event.time_ns)),
      el("td", {}, glyph(event.severity)),
      el(
        "td",
        { class: "nw" },
        el(
          "a",
          { href: sourceOf(event) },
          event.source + (event.channel ? ` ch ${event.channel}` : ""),
        ),
      ),
      el("td", { class: "nw mut" }, event.kind),
      el("td", {}, event.message),
      el("td", { class: "nw mut" }, event.principal),
    );

  async function load(before) {
    const mine = ++turn,
      { source, kind, text } = Object.fromEntries(new FormData(form));
    const query = new URLSearchParams({ source, limit: "200" });
    if (kind) query.set("kind", kind);
    if (before) query.set("before", String(before));
    const answer = await fetch(`/api/v1/events?${query}`);
    const told = await answer.json();
    if (mine !== turn) return;
    if (!before) rows.replaceChildren();
    if (!answer.ok) {
      rows.append(el("tr", {}, el("td", { colSpan: 6 }, told.cause.message)));
      return;
    }
    rows.append(...told.events.filter((event) => fits(event, text)).map(line));
    next = told.next_before;
    $("#older").disabled = next === null;
    $("#none").hidden = rows.childElementCount > 0;
  }

  form.addEventListener("input", () => {
    const given = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, "", given.size ? `?${given}` : location.pathname);
    load(null);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("#older").addEventListener("click", () => {
    if (next) load(next);
  });
  live.on("event", (event) => {
    if (!matches(event) || $(`[data-sequence="${event.sequence}"]`, rows)) return;
    rows.prepend(line(event));
    $("#none").hidden = true;
    for (const old of $$("tr", rows).slice(MOST)) old.remove();
  });
  live.on("change", ({ snapshot }) => {
    if (snapshot) load(null);
  });
  live.on("link", () => {
    $("#feed").textContent = live.trusted ? "live" : "not live";
  });
}
