// The page of rules: whether each is armed, what it waits for, and the evidence of its last firing.
import { $, $$, data, el, setText } from "./dom.js";
import { duration, moment } from "./format.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { mark } from "./acts.js";
import { note } from "./shell.js";
import { post } from "./post.js";

const WAIT_S = 5;
const PHASES = {
  disarmed: "nothing, it is disarmed",
  waiting: "its condition",
  unknown: "a known value",
  holding: "the end of its time",
  stopped: "the end of unless",
  spent: "the condition to be false",
  acting: "the end of its actions",
  broken: "a correct description",
};
const RESULTS = { waiting: "waits", under_way: "under way", done: "done", refused: "refused", failed: "failed", unknown: "may or may not be done", not_begun: "not begun" };

const time = (ns) => el("time", { datetime: new Date(ns / 1e6).toISOString(), title: `${moment(ns)} UTC` }, moment(ns));
const written = (value) => (value === null ? "not known" : typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value));
const ended = ({ ended_ns, outcomes }) => (ended_ns === null ? "under way" : outcomes.every(({ result }) => result === "done") ? "done" : "not done");

// Why this person cannot arm or disarm now, or "".
function refusal(live) {
  if (!live.trusted) return "The link is lost: commands are disabled.";
  return data.denied_rules ? `${data.denied_rules.message}; ${data.denied_rules.suggestion}` : "";
}

async function turn(live, rule) {
  const why = refusal(live);
  if (why) return note(why, { bad: true });
  const command = rule.armed ? "disarm" : "arm",
    reason = el("input", { name: "reason", type: "text", maxlength: "500", autocomplete: "off" });
  const yes = await confirm(live, {
    title: rule.armed ? `Disarm ${rule.title}?` : `Arm ${rule.title}?`,
    rows: [
      ["When", rule.when],
      ["Does", rule.actions.join("; ")],
      ["After that", rule.armed ? "it does nothing until it is armed again" : "it acts when its condition becomes true"],
    ],
    button: rule.armed ? `Disarm ${rule.title}` : `Arm ${rule.title}`,
    fields: boxed(rule.armed ? "Reason, required; all users see it" : "Reason", reason),
    check: () => (rule.armed && !reason.value.trim() ? "The reason is missing." : ""),
  });
  if (!yes) return;
  const answer = await post(`/api/v1/rules/${encodeURIComponent(rule.rule)}/commands/${command}`, {
    arguments: { reason: reason.value.trim() },
    wait_s: WAIT_S,
  });
  const cause = answer.done ? answer.told.outcome?.cause : answer.cause;
  if (cause) note(`${rule.title}: not ${command}ed. ${cause.message}`, { bad: true, detail: cause.suggestion });
  else note(`${rule.title}: ${command}ed`);
}

export function page(live) {
  live.watch = { devices: [], points: false, states: true, events: true, partitions: [""] };
  const rules = new Map();
  let current = decodeURIComponent(location.hash.slice(1)),
    watched = live.watched;

  function row(rule) {
    const last = rule.last,
      button = el("button", { class: "btn small", type: "button", role: "switch", "aria-checked": String(rule.armed), "aria-label": `${rule.title} armed`, onclick: () => turn(live, rules.get(rule.rule)) }, rule.armed ? "armed" : "disarmed");
    mark(button, refusal(live));
    return el(
      "tr",
      { "data-rule": rule.rule, class: rule.rule === current ? "current" : "" },
      el("td", {}, el("button", { class: "lnk name", type: "button", "aria-current": rule.rule === current ? "true" : null, onclick: () => select(rule.rule) }, rule.title)),
      el("td", {}, button),
      el("td", {}, rule.when),
      el("td", { class: "phase" }, rule.phase === "waiting" && rule.due_ns ? "its time" : (PHASES[rule.phase] ?? rule.phase)),
      el("td", { class: "nw" }, rule.due_ns ? time(rule.due_ns) : "–"),
      el("td", { class: "last" }, ...(last ? [time(last.time_ns), ` ${ended(last)}`] : ["never"])),
      el("td", { class: "num nw" }, `${rule.most_times} in ${duration(rule.most_per_s)}`),
    );
  }

  function draw() {
    const listed = [...rules.values()].sort((a, b) => a.title.localeCompare(b.title));
    if (!rules.has(current)) current = listed[0]?.rule ?? "";
    const kept = document.activeElement?.closest("[data-rule]")?.dataset.rule,
      role = document.activeElement?.getAttribute("role");
    $("#rules").replaceChildren(...listed.map(row));
    if (kept) $(`#rules [data-rule="${CSS.escape(kept)}"] ${role === "switch" ? "[role=switch]" : ".name"}`)?.focus();
    $("#no-rules").hidden = listed.length > 0 || !live.trusted;
    const off = listed.filter(({ armed }) => !armed).length;
    // What was published last stays, also where the department is gone.
    const dead = live.trusted && !live.watched;
    setText($("#rule-sum"), dead ? "the alarm department does not run: no rule acts" : `${listed.length} ${listed.length === 1 ? "rule" : "rules"}, ${off} disarmed`);
    side(rules.get(current));
  }

  function side(rule) {
    $("#rule").hidden = !rule;
    if (!rule) return;
    setText($("#rule-name"), rule.title);
    const by = rule.armed_by ? ` by ${rule.armed_by}` : "";
    const about = [
      ["State", `${rule.armed ? "armed" : "disarmed"}${by}${rule.armed_reason ? `: ${rule.armed_reason}` : ""}`],
      ["Reason", rule.reason],
      ["When", rule.when],
      ["Unless", rule.unless],
      ...rule.actions.map((one, index) => [index ? "" : "Does", one]),
      ["Acts as", `rule.${rule.rule}`],
      ["Firings", String(rule.firings)],
      ["Held back", rule.held_back ? `${rule.held_back} times since the last firing, by its rate` : ""],
      ["Problem", rule.problem],
    ].filter(([, text]) => text);
    $("#rule-about").replaceChildren(...about.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]));
    const last = rule.last;
    setText($("#firing-name"), last ? `Firing ${last.number}, ${moment(last.time_ns)} UTC, ${ended(last)}` : "It has never acted");
    const told = last
      ? [
          ...Object.entries(last.evidence).map(([name, value]) => [name, written(value)]),
          ...last.outcomes.map(({ action, result, cause }) => [action, `${RESULTS[result] ?? result}${cause ? `: ${cause.message}` : ""}`]),
        ]
      : [];
    $("#firing").replaceChildren(...told.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]));
  }

  function select(name) {
    current = name;
    history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    draw();
  }

  $("#rules").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const names = $$("#rules [data-rule]").map((one) => one.dataset.rule),
      next = names[names.indexOf(event.target.closest("[data-rule]").dataset.rule) + step];
    if (!next) return;
    event.preventDefault();
    select(next);
    $(`#rules [data-rule="${CSS.escape(next)}"] .name`).focus();
  });

  live.on("change", ({ states, snapshot }) => {
    let any = snapshot || watched !== live.watched;
    watched = live.watched;
    if (snapshot) rules.clear();
    for (const [key, state] of Object.entries(states)) {
      if (!key.startsWith("rule.")) continue;
      any = true;
      if (state) rules.set(state.rule, state);
      else rules.delete(key.slice("rule.".length));
    }
    if (any) draw();
  });
  live.on("link", draw);
  draw();
}
