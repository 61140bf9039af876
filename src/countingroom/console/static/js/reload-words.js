// How the plan of a reload is written.
import { breakable, el } from "./dom.js";

export const RELOAD = "/api/v1/description";

const GROUPS = [
  ["devices", "Devices"],
  ["alarms", "Alarms"],
  ["runs", "Partitions and run control"],
  ["console", "Console and roles"],
];
const OTHERS = "Other sections";
const ACTIONS = ["added", "removed", "changed"];
const MOST_KEYS = 12;

export const changes = (count) => (count === 1 ? "1 change" : `${count} changes`);

// What a look at the files has found, in a sentence; "" where they are what is in force.
export function found({ differs, mistakes, refusals, plan }) {
  if (mistakes.length) return `${mistakes.length === 1 ? "it has a mistake" : `it has ${mistakes.length} mistakes`}. The present one stays in force.`;
  if (!differs) return "";
  return `${changes(plan.changes.length)}.${refusals.length ? " A reload is refused now." : ""}`;
}

// What a change costs, as a text.
export function entails({ entails: cost, path, action, processes }) {
  if (cost === "in place" && path.startsWith("devices.") && action !== "changed") return action === "added" ? "connects" : "disconnects";
  return cost === "restarts a process" ? `restarts ${processes.join(", ")}` : cost;
}

const grouped = (all) => {
  const groups = new Map();
  for (const [, title] of GROUPS) groups.set(title, []);
  for (const one of all) {
    const title = GROUPS.find(([first]) => one.path.split(".", 1)[0] === first)?.[1] ?? OTHERS;
    groups.set(title, [...(groups.get(title) ?? []), one]);
  }
  return [...groups].filter(([, some]) => some.length);
};

const keys = (all) => [
  ...all.slice(0, MOST_KEYS).map(({ key, before, after }) => el("div", {}, ...(key ? [...breakable(key), ": "] : []), el("i", {}, before || "–"), " → ", after || "–")),
  all.length > MOST_KEYS ? el("div", {}, `and ${all.length - MOST_KEYS} more`) : null,
];

function table(label, heads, rows) {
  const head = el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", {}, text))));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, el("table", { class: "t" }, head, el("tbody", {}, ...rows)));
}

// Causes in a list, each with what can be done.
export const causes = (all) => el("ul", { class: "against" }, ...all.map(({ message, suggestion }) => el("li", {}, message, suggestion ? el("small", {}, `→ ${suggestion}`) : null)));

export function mistakesTable(mistakes) {
  const rows = mistakes.map(({ source, message }) => el("tr", {}, el("td", { class: "place" }, ...breakable(source)), el("td", { class: "mistake" }, message)));
  return table("Mistakes", ["File and line", "Mistake"], rows);
}

// The parts of the dialog for an answer of the API.
export function shown({ differs, mistakes, refusals, warnings, plan, seconds }) {
  const parts = [];
  if (mistakes.length) {
    parts.push(el("h3", {}, mistakes.length === 1 ? "1 mistake on disk" : `${mistakes.length} mistakes on disk`), mistakesTable(mistakes));
    parts.push(el("p", { class: "total" }, "Nothing can be reloaded until they are mended: the present description stays in force."));
    return parts;
  }
  if (!differs) parts.push(el("p", {}, "Nothing to do: the description in force is the one on disk."));
  if (refusals.length) parts.push(el("h3", {}, "Refused now"), el("div", { class: "wrong", id: "against" }, causes(refusals)));
  parts.push(...changed(plan));
  if (warnings.length) parts.push(el("h3", {}, "Warnings"), el("ul", { class: "against" }, ...warnings.map((text) => el("li", {}, text))));
  if (differs && !refusals.length) parts.push(el("p", { class: "total" }, `It takes about ${seconds} s. What is not named goes on untouched.`));
  return parts;
}

// A table for each group of changes.
export function changed(plan) {
  return grouped(plan.changes).flatMap(([title, all]) => {
    const counts = ACTIONS.map((action) => [all.filter((one) => one.action === action).length, action]).filter(([count]) => count);
    const rows = all.map((one) =>
      el("tr", { "data-path": one.path }, el("td", {}, one.action), el("td", { class: "what" }, ...breakable(one.path)), el("td", { class: "keys" }, ...keys(one.keys).filter(Boolean)), el("td", { class: one.entails === "needs a restart of up" ? "up" : null }, entails(one))),
    );
    return [el("h3", {}, `${title}: ${counts.map((one) => one.join(" ")).join(", ")}`), table(title, ["Action", "What", "Change", "Entails"], rows)];
  });
}
