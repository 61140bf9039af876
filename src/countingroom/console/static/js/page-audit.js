// The page of the audit, newest first, page by page.
import { $, el } from "./dom.js";
import { note } from "./shell.js";

const HOW = ["id", "issued_ns", "deadline_s"]; // how it was asked, not what for; told when pointed at

let before = null;

export function page() {
  const filter = $("#filter");
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("change", () => load(false));
  $("#older").addEventListener("click", () => load(true));
  load(false);
}

async function load(further) {
  const asked = new URLSearchParams({ limit: "200" });
  for (const [name, value] of new FormData($("#filter"))) if (value) asked.set(name, value);
  if (further && before) asked.set("before", before);
  const answer = await fetch(`/api/v1/audit?${asked}`);
  const told = await answer.json();
  if (!answer.ok) {
    note(told.cause.message, { bad: true, detail: told.cause.suggestion });
    return;
  }
  before = told.next_before;
  $("#older").hidden = before === null;
  if (!further) $("#rows").replaceChildren();
  $("#rows").append(...told.entries.map(row));
  $("#none").hidden = $("#rows").childElementCount > 0;
}

function row(one) {
  const all = Object.entries(one.arguments);
  const given = all.filter(([name, value]) => value !== "" && !HOW.includes(name)).map(([name, value]) => `${name}=${value}`).join(" ");
  return el(
    "tr",
    {},
    el("td", { class: "fit nw" }, new Date(one.time_ns / 1e6).toISOString().slice(0, 19).replace("T", " ")),
    el("td", {}, one.who || "no login"),
    el("td", { title: all.map(([name, value]) => `${name}=${value}`).join("\n") }, el("b", {}, one.what), given ? el("small", { class: "mut" }, ` ${given}`) : null),
    el("td", {}, one.target),
    el("td", {}, one.outcome === "accepted" ? one.outcome : el("b", { class: "E" }, one.outcome)),
    el("td", {}, one.cause ? `${one.cause.message} [${one.cause.code}]` : ""),
    el("td", {}, one.origin),
  );
}
