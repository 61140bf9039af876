// How values, ends and times of snapshots are written.
import { el } from "./dom.js";
import { moment, unit } from "./format.js";

export const ENDS = {
  not_tried: "not tried",
  under_way: "under way",
  restored: "restored",
  refused: "refused",
  failed: "failed",
  unknown: "not known",
};

export const api = (name, rest = "") => `/api/v1/snapshots/${encodeURIComponent(name)}${rest}`;
export const pageOf = (name) => `/snapshots/${encodeURIComponent(name)}`;

// The name of the value where it has one. Ten significant digits: a setpoint is not rounded to another one.
export function value(given, unitText = "", words = {}) {
  if (given === null || given === undefined) return "–";
  const word = words[String(given)];
  if (word) return word;
  if (typeof given === "boolean") return given ? "on" : "off";
  if (typeof given === "string") return given;
  return `${Number(given.toPrecision(10))} ${unit(unitText)}`.trim();
}

export const time = (ns) => el("time", { datetime: new Date(ns / 1e6).toISOString(), title: `${moment(ns)} UTC` }, moment(ns));
export const cell = (text, name = "") => el("td", { class: name || null }, text);

// The answer of the API, or null where it has none; `refused` is told why.
export async function ask(path, refused) {
  try {
    const answer = await fetch(path);
    const told = await answer.json();
    if (answer.ok) return told;
    refused(told.cause.message, told.cause.suggestion);
  } catch (error) {
    refused(`The console did not answer: ${error.message}`, "");
  }
  return null;
}

// `5 restored, 1 failed`.
export function results(ends) {
  const counts = new Map();
  for (const end of ends) counts.set(end, (counts.get(end) ?? 0) + 1);
  return [...counts].map(([end, count]) => `${count} ${ENDS[end] ?? end}`).join(", ") || "none";
}
