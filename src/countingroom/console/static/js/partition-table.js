// The table of systems on the page of a partition: the state as the partition sees it and the own state of the system.
// Where they differ the row is tinted and shows the age. The map shows rows that are scrolled out of sight.
import { $, $$, el, setClass, setText } from "./dom.js";
import { age } from "./format.js";
import { GLYPHS } from "./parts.js";
import { LOST, discOf, dot } from "./run-parts.js";

const MANY = 60; // above this number the cells of the map are small

export class Systems {
  // act(command, system): called when a button of a row is pressed.
  constructor(live, model, act) {
    Object.assign(this, { live, model, act });
    this.table = $("#systems");
    this.keys = new Map();
    this.map = new Map();
    const place = $("#map .cells");
    if (!place) return;
    const rows = $$("[data-system]", this.table);
    $("#map").classList.toggle("many", rows.length > MANY);
    for (const tr of rows) this.map.set(tr.dataset.system, this.cell(tr));
    place.replaceChildren(...this.map.values());
  }

  cell(tr) {
    const name = tr.dataset.system;
    const show = () => {
      tr.scrollIntoView({ block: "center" });
      $("button", tr)?.focus();
    };
    return el("button", { type: "button", tabIndex: -1, "aria-label": name, onclick: show });
  }

  refresh() {
    const { members } = this.model.state,
      shown = new Map($$("[data-system]", this.table).map((tr) => [tr.dataset.system, tr]));
    if (shown.size !== members.length || members.some((one) => !shown.has(one.system))) location.reload();
    setText($("#included"), tally(members));
    for (const member of members) this.row(shown.get(member.system), member);
  }

  row(tr, member) {
    const { model } = this,
      report = model.report(member),
      why = model.commandsAt("system").map((row) => model.why(row.name)).join("|");
    const key = JSON.stringify([member, report?.common, report?.state, why]);
    if (this.keys.get(member.system) === key) return;
    this.keys.set(member.system, key);
    const level = model.level(member),
      differs = model.differs(member);
    setClass(tr, [member.included ? "" : "ex", level ? `f${level}` : ""].join(" ").trim());
    const [seen, own, , tag, comment, acts] = tr.querySelectorAll("td");
    const stale = el("span", { class: "badge" }, "stale");
    const unheard = member.included && member.seen === LOST; // then the last own state is the stale one
    seen.replaceChildren(...(member.included ? [dot(discOf(member.seen), member.seen), ...(differs && !unheard ? [stale] : [])] : ["excluded"]));
    const kind = unheard || member.own === LOST ? "no_link" : discOf(report?.common ?? member.seen);
    own.replaceChildren(dot(kind, member.own), ...(differs && unheard ? [stale] : []));
    const wrong = level === 3;
    tag.replaceChildren(wrong ? `◆ ${member.tag || "none"}` : member.tag || "–");
    tag.title = member.wanted_tag ? `selected: ${member.wanted_tag}` : "";
    setText(comment, [...new Set([member.cause?.message, member.comment])].filter(Boolean).join("; "));
    // The keyboard stays where it is: the button that had the focus is another element now.
    const held = acts.contains(document.activeElement) ? document.activeElement.dataset.command : "";
    acts.replaceChildren(...this.buttons(member));
    if (held) ($(`[data-command="${held}"]`, acts) ?? $("button", acts))?.focus();
    this.onMap(member, level);
  }

  onMap(member, level) {
    const cell = this.map.get(member.system);
    if (!cell) return;
    const lost = member.included && member.seen === LOST && !level;
    setClass(cell, !member.included ? "m5" : level ? `m${level}` : lost ? "m4" : `is-${discOf(member.seen)}`);
    setText(cell, GLYPHS[level]);
    cell.title = `${member.system}: ${member.included ? member.seen : "excluded"}`;
  }

  buttons(member) {
    const inError = this.model.report(member)?.common === "Error" || member.seen === "Error";
    const hidden = new Set([member.included ? "include" : "exclude", ...(inError ? [] : ["reset"])]);
    const rows = this.model.commandsAt("system").filter((row) => !hidden.has(row.name));
    return rows.flatMap((row, index) => [...(index ? [" "] : []), this.button(row, member)]);
  }

  button({ name: command, label }, member) {
    const why = this.model.why(command);
    const about = { class: "btn", type: "button", "data-command": command, "data-why": why, "aria-disabled": String(Boolean(why)) };
    const press = () => {
      if (!this.model.why(command)) this.act(command, member.system);
    };
    return el("button", { ...about, "aria-label": `${label} ${member.system}`, onclick: press }, label);
  }

  ages(nowNs) {
    for (const member of this.model.state?.members ?? []) {
      const tr = $(`[data-system="${CSS.escape(member.system)}"]`, this.table);
      const since = this.model.report(member)?.since_ns || member.reported_ns;
      const text = since ? age((nowNs - since) / 1e9) : "–";
      setText(tr?.querySelectorAll("td")[2], /\d$/.test(text) ? `${text} s` : text);
    }
  }
}

// The number of systems in each state, the most frequent first.
function tally(members) {
  const counts = new Map(),
    count = (word) => counts.set(word, (counts.get(word) ?? 0) + 1),
    included = members.filter((one) => one.included);
  for (const one of included) count(one.seen);
  const each = [...counts].sort(([, one], [, other]) => other - one).map(([word, number]) => `${number} ${word}`);
  return [`${included.length} included`, ...each, `${members.length - included.length} excluded`].join(" · ");
}
