// The plan of a change of the fleet in a dialog, its confirmation, and the list of revisions. What is sent is the mark of
// the plan that was shown: where another plan holds by then, the keeper refuses, and the new one is shown.
import { $, el, setText } from "./dom.js";
import { refusal } from "./acts.js";
import { boxed } from "./buttons.js";
import { tellFleet } from "./commands.js";
import { meanwhile } from "./confirm.js";
import { FLEET, placeOf, plural } from "./fleet-model.js";
import { duration, moment } from "./format.js";
import { note } from "./shell.js";
import { ask } from "./snapshot-words.js";

const KINDS = { replace: "Replace, another image", again: "Make again", right: "Put right", create: "Create", remove: "Remove" };
const MOST_NAMES = 8;

export const changes = (count) => (count ? plural(count, "change") : "no changes");

// Changes that differ in their place alone are one row.
function rowsOf(all) {
  const rows = new Map();
  for (const one of all) {
    const key = JSON.stringify([one.service, one.what, one.why, one.pulls]);
    rows.set(key, [...(rows.get(key) ?? []), one]);
  }
  return [...rows.values()].map((same) => {
    const [{ service, what, why, pulls }] = same;
    const names = same.slice(0, MOST_NAMES).map(placeOf).join(", ") + (same.length > MOST_NAMES ? ` and ${same.length - MOST_NAMES} more` : "");
    return el(
      "tr",
      { "data-change": `${service} ${names}` },
      el("td", { class: "where" }, names, same.length > 1 ? el("small", {}, ` ${same.length}`) : null),
      el("td", {}, el("b", {}, service)),
      el("td", { class: "what" }, ...(what.length ? what.map((text) => el("div", {}, text)) : ["ended; its log is kept"])),
      el("td", { class: "mut why" }, why, pulls ? el("div", {}, `pulls ${pulls} first`) : null),
    );
  });
}

function table(plan) {
  const groups = Object.entries(KINDS).map(([kind, title]) => [title, plan.changes.filter((one) => one.kind === kind)]).filter(([, all]) => all.length);
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": "What changes" },
    el(
      "table",
      { class: "t" },
      el("thead", {}, el("tr", {}, ...["Where", "Service", "Change", "Why"].map((text) => el("th", {}, text)))),
      ...groups.map(([title, all], at) => el("tbody", {}, el("tr", { class: "group" }, el("th", { colspan: "4", scope: "rowgroup" }, `${at + 1}. ${title}`, el("small", {}, ` ${all.length}`))), ...rowsOf(all))),
    ),
  );
}

function gates(all) {
  const told = (gate) => [
    ["At most at once", gate.canary ? `1 first, then ${gate.max_parallel}` : plural(gate.max_parallel, "instance")],
    ["Never fewer healthy", `${gate.min_healthy} of ${gate.instances}`],
    ["Healthy for", `${duration(gate.healthy_for_s)}${gate.failures && gate.start_period_s ? ` after ${duration(gate.start_period_s)} start` : ""}`],
    ["Given up after", gate.failures ? plural(gate.failures, "failed check") : "3 ends"],
    ["Then", gate.rollback ? "roll back by itself" : "stay as it is"],
  ];
  if (all.length === 1) return el("div", { class: "gates" }, ...told(all[0]).map(([name, text]) => el("div", {}, el("i", {}, name), el("b", {}, text))));
  const heads = told(all[0]).map(([name]) => el("th", {}, name));
  const rows = all.map((gate) => el("tr", {}, el("td", {}, el("b", {}, gate.service)), ...told(gate).map(([, text]) => el("td", {}, text))));
  return el("div", { class: "scroll low", tabindex: "0", role: "group", "aria-label": "How each service is changed" }, el("table", { class: "t" }, el("thead", {}, el("tr", {}, el("th", {}, "Service"), ...heads)), el("tbody", {}, ...rows)));
}

function shown(live, { plan }) {
  const noted = (kind) => plan.notes.filter((one) => one.kind === kind).map(({ service, node, text }) => `${service}${node ? ` on ${node}` : ""}: ${text}`);
  const terms = [["Waits", noted("waits")], ["Left alone", noted("left")], ["Would fail", noted("fails")], ["Stays", plan.stays ? [`${plural(plan.stays, "instance")} as wanted`] : []], ...meanwhile(live).map(([term, text]) => [term, [text]])];
  return [
    plan.changes.length ? table(plan) : el("p", {}, "Nothing to change: what runs is as it is wanted."),
    el("dl", { class: "dl" }, ...terms.filter(([, all]) => all.length).flatMap(([term, all]) => [el("dt", {}, term), el("dd", {}, ...all.map((text) => el("div", {}, text)))])),
    plan.gates.length ? gates(plan.gates) : null,
  ].filter(Boolean);
}

// revision: an earlier one to go back to; 0: the description as it is on disk.
export function planChange(live, revision = 0) {
  const dialog = $("#plan"),
    command = revision ? "rollback" : "apply",
    verb = revision ? `Roll back to r${revision}` : "Apply",
    facts = el("div", { class: "facts" }),
    way = el("div", { "aria-live": "polite" }),
    comment = el("input", { name: "comment", maxlength: "300", autocomplete: "off" }),
    wrong = el("p", { class: "wrong", role: "alert" }),
    seen = el("span", { class: "hint" }),
    again = el("button", { class: "btn", type: "button" }, "Look again"),
    go = el("button", { class: "btn primary", type: "button" }, verb),
    close = el("button", { class: "btn", type: "button" }, "Cancel");
  dialog.replaceChildren(
    el("h2", { id: "plan-title" }, revision ? `Roll the fleet back to r${revision}` : "Apply the description to the fleet"),
    el("div", { class: "bd" }, facts, way, boxed("Comment, for the list of revisions", comment), wrong, el("div", { class: "acts" }, seen, el("span", { class: "sp" }), close, again, go)),
  );
  let answer = null,
    seenAt = 0,
    busy = "";

  const judge = () => {
    const why = refusal(live, command) || busy || (answer ? "" : "There is no plan.");
    go.disabled = Boolean(why);
    go.title = why;
    again.disabled = Boolean(busy);
    setText(seen, answer ? `Seen ${Math.round((performance.now() - seenAt) / 1000)} s ago. Refused if anything changes before you press.` : "");
  };

  async function look() {
    busy = "The plan is not known yet.";
    answer = null;
    judge();
    const told = await ask(`${FLEET}/plan?revision=${revision}`, (message, suggestion) => way.replaceChildren(el("p", { class: "wrong" }, suggestion ? `${message}; ${suggestion}` : message)));
    busy = "";
    answer = told;
    seenAt = performance.now();
    if (told) {
      const { plan } = told,
        nodes = new Set(plan.changes.map(({ node }) => node)).size;
      facts.replaceChildren(...[["from", plan.present ? `r${plan.present}` : "nothing applied yet"], ["changes", plan.changes.length ? `${plan.changes.length} on ${plural(nodes, "node")}` : "none"]].map(([name, text]) => el("div", { class: "kv" }, el("i", {}, name), el("b", {}, text))));
      way.replaceChildren(...shown(live, told));
      setText(go, `${verb}: ${changes(plan.changes.length)}`);
    } else facts.replaceChildren();
    judge();
  }

  async function apply() {
    busy = "It is sent.";
    setText(wrong, "");
    judge();
    const said = comment.value.trim();
    const values = { plan: answer.mark, ...(said ? { comment: said } : {}), ...(revision ? { revision } : {}) };
    const sent = await tellFleet(live, command, { values, deadlineS: 30 });
    const end = sent.accepted ? await sent.outcome : { kind: "failed", cause: sent.cause };
    busy = "";
    if (end.kind === "done") {
      const number = end.data?.revision;
      note(`${number ? `r${number}` : "The revision"} is applied; the services are changed now`);
      return dialog.close();
    }
    const { code, message, suggestion } = end.cause ?? { message: end.message };
    if (code === "plan_changed") {
      await look();
      return setText(wrong, "Not applied: the plan has changed since you saw it. This is the new one.");
    }
    setText(wrong, `Not applied: ${message}${suggestion ? `; ${suggestion}` : ""}`);
    judge();
  }

  return new Promise((resolve) => {
    const timer = setInterval(judge, 500);
    dialog.oninput = null;
    dialog.onkeydown = null;
    close.onclick = () => dialog.close();
    again.onclick = () => {
      setText(wrong, "");
      look();
    };
    go.onclick = apply;
    dialog.onclose = () => {
      clearInterval(timer);
      resolve();
    };
    dialog.showModal();
    close.focus();
    look();
  });
}

// The revisions, newest first; one of them is chosen to go back to.
export async function showRevisions(live, present) {
  const dialog = $("#revisions"),
    way = el("div", { "aria-live": "polite" }, el("p", { class: "mut" }, "…")),
    close = el("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(el("h2", { id: "revisions-title" }, "Revisions of the fleet"), el("div", { class: "bd" }, way, el("div", { class: "acts" }, close)));
  dialog.showModal();
  close.focus();
  const told = await ask(`${FLEET}/revisions`, (message, suggestion) => way.replaceChildren(el("p", { class: "wrong" }, suggestion ? `${message}; ${suggestion}` : message)));
  if (!told) return;
  const why = refusal(live, "rollback");
  const back = ({ number }) => {
    const button = el("button", { class: "btn small", type: "button", "aria-disabled": String(Boolean(why)), "data-why": why || null, onclick: () => !why && (dialog.close(), planChange(live, number)) }, "Roll back…");
    return number === present ? el("span", { class: "mut" }, "applied last") : button;
  };
  const rows = told.revisions.map((one) => el("tr", { "data-revision": String(one.number) }, el("td", {}, el("b", {}, `r${one.number}`)), el("td", { class: "nw" }, moment(one.time_ns)), el("td", {}, one.by), el("td", { class: "free" }, one.comment), el("td", { class: "num nw" }, back(one))));
  const head = el("tr", {}, el("th", {}, "Revision"), el("th", {}, "Applied (UTC)"), el("th", {}, "By"), el("th", {}, "Comment"), el("th", {}, el("span", { class: "vh" }, "Roll back")));
  way.replaceChildren(rows.length ? el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The revisions" }, el("table", { class: "t" }, el("thead", {}, head), el("tbody", {}, ...rows))) : el("p", { class: "mut" }, "Nothing was applied yet."));
}
