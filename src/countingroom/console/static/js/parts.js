// Pieces that several pages show: state discs, glyphs, logs. templates/parts.html makes the same pieces on the server.
import { el, setClass, setText, $ } from "./dom.js";
import { after, clock, disc, iso, moment, words } from "./format.js";
import { WAITING } from "./alarm-model.js";
import { sign } from "./alarm-words.js";

export const LEVELS = ["normal", "high", "medium", "low", "stale"];
export const GLYPHS = ["", "■", "▲", "◆", "◌"];

export const glyph = (level) =>
  el("span", { class: level ? `g g${level}` : "g none", role: "img", "aria-label": LEVELS[level] });

export function setGlyph(node, level) {
  setClass(node, level ? `g g${level}` : "g none");
  if (node.getAttribute("aria-label") !== LEVELS[level]) node.setAttribute("aria-label", LEVELS[level]);
}

export function setState(node, state, big) {
  setClass(node, `st ${big ? "big" : ""} s-${disc(state)}`);
  setText($("b", node), words(state?.state));
}

export const link = (alarm) =>
  alarm.partition
    ? `/partitions/${encodeURIComponent(alarm.partition)}`
    : alarm.device
      ? `/devices/${encodeURIComponent(alarm.device)}${alarm.point ? "#" + alarm.point : ""}`
      : `/alarms#${alarm.id}`;

// A row of the list of alarms. What follows from a cause stands below it, with the time after it.
export const alarmRow = (alarm) => {
  const follows = alarm.after_ns !== null;
  return el(
    "tr",
    { class: `p${alarm.level}${follows ? " after" : ""}` },
    el("td", {}, follows ? glyph(alarm.level) : sign({ priority: alarm.level, base: alarm.base })),
    el("td", { class: "fs nw", title: `${moment(alarm.since_ns)} UTC` }, follows ? after(alarm.after_ns) : el("time", { datetime: iso(alarm.since_ns) }, clock(alarm.since_ns))),
    el("td", { class: "nw" }, el("a", { href: link(alarm) }, alarm.title)),
    el(
      "td",
      {},
      ...(alarm.consequences ? [el("span", { class: "first" }, "first"), " "] : []),
      alarm.what,
      alarm.advice && !follows ? el("small", { class: "do", title: alarm.advice }, alarm.advice) : null,
    ),
    el(
      "td",
      { class: "acked" },
      follows
        ? null
        : WAITING.includes(alarm.base)
          ? el("button", { class: "btn small", type: "button", "data-acknowledge": alarm.id }, "Acknowledge")
          : alarm.acknowledged_by,
    ),
  );
};

export const barItem = (alarm) =>
  el(
    "a",
    { class: "it", href: link(alarm), title: alarm.what },
    glyph(alarm.level),
    el("span", { class: "mut" }, clock(alarm.since_ns)),
    el("b", {}, alarm.title),
    el("span", {}, alarm.what),
  );

export const logLine = (event) =>
  el(
    "div",
    { "data-sequence": String(event.sequence) },
    el("time", { title: moment(event.time_ns) + " UTC", datetime: iso(event.time_ns) }, clock(event.time_ns)),
    glyph(event.severity),
    el("span", { class: "src" }, event.source + (event.channel ? ` ch ${event.channel}` : "")),
    el(
      "span",
      { class: event.severity ? "E" : "" },
      event.message,
      event.principal ? el("i", { class: "mut" }, ` by ${event.principal}`) : null,
    ),
  );

// A log that follows the feed: newest first, bounded, of one source or of all. After a gap it is loaded again.
export function followLog(live, node) {
  const most = Number(node.dataset.most),
    source = node.dataset.source;
  const add = (event) => {
    if (source && event.source !== source) return;
    if (node.querySelector(`[data-sequence="${event.sequence}"]`)) return;
    $(".empty", node)?.remove();
    node.prepend(logLine(event));
    while (node.childElementCount > most) node.lastElementChild.remove();
  };
  live.on("event", add);
  live.on("change", async ({ snapshot }) => {
    if (!snapshot) return;
    const answer = await fetch(`/api/v1/events?limit=${most}&source=${source ?? ""}`);
    if (answer.ok) for (const event of (await answer.json()).events.reverse()) add(event);
  });
}
