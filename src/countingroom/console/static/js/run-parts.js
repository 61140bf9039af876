// How a partition and its systems are shown on every page; present/partition_views.py does the same on the server.
import { $, el, setClass, setText } from "./dom.js";
import { clock, duration, words } from "./format.js";

export const LOST = "Connection Problem";
const DISCS = { Configuring: "moving", Active: "ready", Recording: "on", Error: "error", [LOST]: "no_link" };

export const discOf = (common) => DISCS[common] ?? "off";

const step = (chart, state, event) => chart.rows.find((row) => row.state === state && row.event === event)?.next;

// The states a partition can rest in, lowest first.
export function rests(chart) {
  const found = [chart.initial];
  for (let next; (next = step(chart, found.at(-1), "configure")); ) found.push(step(chart, next, "success"));
  const recording = step(chart, found.at(-1), "start_recording");
  return recording ? [...found, recording] : found;
}

export function discOfPartition(partition) {
  const there = rests(partition.chart),
    records = partition.chart.rows.some((row) => row.event === "start_recording");
  if (partition.state === there[0]) return "off";
  if (!there.includes(partition.state)) return "moving";
  if (records && partition.state === there.at(-1)) return "on";
  return step(partition.chart, partition.state, "start_recording") ? "ready" : "part";
}

export const goneWords = (sinceNs) =>
  `No owner since ${clock(sinceNs)}: its run control is gone. The last known state is shown.`;

export const dot = (kind, word) =>
  el("span", { class: `st s-${kind}` }, el("span", { class: "dot", "aria-hidden": "true" }), el("b", {}, words(word)));

export function setDisc(node, kind, word, big = false) {
  setClass(node, `st ${big ? "big" : ""} s-${kind}`);
  setText($("b", node), words(word));
}

export const holderOf = (control, nowNs) => (control?.holder && control.until_ns > nowNs ? control.holder : "");

// The report of a member's agent, for that partition.
export const reportOf = (live, partition, { kind, system }) =>
  live.states.get(kind === "global" ? `system.${system}.${partition}` : `system.${system}`);

export const grouped = (count) => String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, "\u202f");

export const hertz = (rate) => (rate < 1e4 ? `${rate.toFixed(1)} Hz` : `${(rate / 1e3).toFixed(1)} kHz`);

const MANY = 12;
const inOrder = (one, other) => one.localeCompare(other, undefined, { numeric: true });

// Names as text: all of them, or the first ones and the number of the others.
export function some(names) {
  const told = [...names].sort(inOrder);
  return told.length > MANY ? `${told.slice(0, 3).join(", ")} and ${told.length - 3} others` : told.join(", ");
}

export function seconds(given) {
  if (given === null || given === undefined) return "–";
  return duration(given);
}
