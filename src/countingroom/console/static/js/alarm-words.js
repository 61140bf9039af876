// How an alarm is written and drawn: its sign, its state in words, its times. The sign says priority by shape and colour,
// and the state by corners (not acknowledged), a hollow shape (returned) and a line below it (latched).
import { el, svg } from "./dom.js";
import { clock, iso, lasting } from "./format.js";
import { WAITING, isActive, isOpen, shown } from "./alarm-model.js";

export const PRIORITIES = ["", "high", "medium", "low", "for information"];
const SHAPES = ["", "M7 7H17V17H7Z", "M12 6.5L18 17.5H6Z", "M12 5.5L18.5 12L12 18.5L5.5 12Z", "M12 7A5 5 0 1 1 11.99 7Z"];
const CORNERS = "M2 7V2H7M17 2H22V7M22 17V22H17M7 22H2V17";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_NS = 86_400e9;
const STATES = {
  normal: "normal",
  unacknowledged: "not acknowledged",
  acknowledged: "acknowledged",
  returned: "returned, not acknowledged",
  latched_unacknowledged: "latched, not acknowledged",
  latched: "latched",
  shelved: "shelved",
  suppressed: "suppressed",
  out_of_service: "out of service",
};

export const word = (alarm) => STATES[shown(alarm)];

// small: without corners, as for one that stands under its cause or is shelved.
export function sign(alarm, small = false) {
  const waiting = !small && WAITING.includes(alarm.base) && isOpen(alarm),
    latched = alarm.base.startsWith("latched"),
    hollow = !isActive(alarm) || !isOpen(alarm);
  const node = svg("svg", {
    class: `sgn p${alarm.priority}${hollow ? " hollow" : ""}${small ? " small" : ""}`,
    viewBox: "0 0 24 24",
    role: "img",
    "aria-label": `${PRIORITIES[alarm.priority]}, ${word(alarm)}`,
  });
  node.append(svg("path", { class: "shape", d: SHAPES[alarm.priority] }));
  if (waiting) node.append(svg("path", { class: "corners", d: CORNERS }));
  if (latched) node.append(svg("path", { class: "latch", d: "M6 21H18" }));
  return node;
}

// A time of today as a clock, one of another day as its date.
export function when(ns, nowNs) {
  const at = new Date(ns / 1e6),
    today = Math.floor(ns / DAY_NS) === Math.floor(nowNs / DAY_NS);
  return today ? clock(ns) : `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
}

export const time = (ns, nowNs) => el("time", { datetime: iso(ns), title: `${iso(ns).slice(0, 19).replace("T", " ")} UTC` }, when(ns, nowNs));

// What stands in the column "State" of an alarm that is open.
export function stateText(alarm, nowNs) {
  if (alarm.base === "acknowledged") return alarm.acknowledged_by ? `ack. ${alarm.acknowledged_by} ${when(alarm.acknowledged_ns ?? alarm.changed_ns, nowNs)}` : "acknowledged";
  return word(alarm);
}

// The same for one that follows from another: whether it goes on.
export const memberState = (alarm) => (isActive(alarm) ? "active" : alarm.base.startsWith("latched") ? "latched" : "ended");

// What stands in the column "What".
export const what = (alarm, nowNs) => (alarm.returned_ns && !isActive(alarm) ? `${alarm.text}; back at ${when(alarm.returned_ns, nowNs)}` : alarm.text);

// Why, by which user and until when an alarm is not announced: [reason, until].
export function flagText(alarm, nowNs) {
  if (alarm.service) return [`${alarm.service.reason} · owner ${alarm.service.owner}`, `due ${iso(alarm.service.due_ns).slice(0, 10)}`];
  if (alarm.suppressed) return [alarm.suppressed, alarm.base === "normal" ? "condition clear" : "condition true"];
  if (!alarm.shelf) return ["", ""];
  const { reason, by, until_ns: until } = alarm.shelf,
    left = until - nowNs;
  return [`${reason} · ${by}${left > 0 && left < 3600e9 ? `, ${lasting(left / 1e9)} left` : ""}`, `until ${when(until, nowNs).slice(0, 5).trim()}`];
}
