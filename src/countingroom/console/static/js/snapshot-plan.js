// The plan of a restore, shown before anything is written: each command with old and new value, and what is left as it
// is with the reason.
import { $, breakable, el } from "./dom.js";
import { boxed } from "./buttons.js";
import { meanwhile } from "./confirm.js";
import { ask, api, value } from "./snapshot-words.js";

// Resolves {digest, reason, keep_going} when confirmed, else null.
export function confirmPlan(live, name) {
  const dialog = $("#plan"),
    way = el("div", { "aria-live": "polite" }, el("p", { class: "mut" }, "Making the plan…")),
    wrong = el("p", { class: "wrong", role: "alert" }),
    reason = el("input", { name: "reason", maxlength: "500", autocomplete: "off" }),
    on = el("input", { type: "checkbox", name: "keep_going" }),
    go = el("button", { class: "btn primary", type: "button" }, "Restore"),
    cancel = el("button", { class: "btn", type: "button" }, "Cancel");
  const running = meanwhile(live).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]);
  dialog.replaceChildren(
    el("h2", { id: "plan-title" }, `Restore ${name}?`),
    el(
      "div",
      { class: "bd" },
      running.length ? el("dl", { class: "dl" }, ...running) : null,
      way,
      boxed("Reason, required", reason),
      el("label", { class: "all" }, on, " after a failure go on with the other devices"),
      wrong,
      el("div", { class: "acts" }, cancel, go),
    ),
  );
  let plan = null,
    sure = false;
  const why = () => {
    if (!live.trusted) return "The link is lost: nothing can be sent.";
    if (!plan) return "The plan is not known yet.";
    if (!plan.writes.length) return "Nothing is to be written.";
    return reason.value.trim() ? "" : "The reason is missing.";
  };
  const judge = () => {
    const now = why();
    go.disabled = Boolean(now);
    if (wrong.textContent !== now) wrong.textContent = now;
  };
  return new Promise((resolve) => {
    const timer = setInterval(judge, 300);
    dialog.oninput = judge;
    dialog.onkeydown = null;
    cancel.onclick = () => dialog.close();
    go.onclick = () => {
      sure = !why();
      dialog.close();
    };
    dialog.onclose = () => {
      clearInterval(timer);
      resolve(sure ? { digest: plan.digest, reason: reason.value.trim(), keep_going: on.checked } : null);
    };
    dialog.showModal();
    reason.focus();
    ask(api(name, "/plan"), (message, suggestion) => way.replaceChildren(el("p", { class: "wrong" }, suggestion ? `${message}; ${suggestion}` : message))).then((told) => {
      if (!told) return;
      plan = told;
      const { writes, left, silent } = plan,
        danger = writes.some(({ is_dangerous }) => is_dangerous);
      go.className = danger ? "btn danger" : "btn primary";
      go.textContent = writes.length === 1 ? "Restore 1 point" : `Restore ${writes.length} points`;
      way.replaceChildren(...shown(writes, left, silent));
      judge();
    });
    judge();
  });
}

// Why -> those that are left for it.
function reasons(left) {
  const found = new Map();
  for (const one of left) found.set(one.cause.message, [...(found.get(one.cause.message) ?? []), one]);
  return found;
}

function shown(writes, left, silent) {
  const equal = left.filter(({ cause }) => cause.code === "equal").length,
    others = left.filter(({ cause }) => cause.code !== "equal"),
    rest = others.filter((one) => one.old !== one.new),
    idle = others.filter((one) => one.old === one.new); // cannot be written, and need not be
  const point = (one) => el("th", { scope: "row" }, ...breakable(`${one.device}.${one.point}`));
  const numbers = (one) => [el("td", { class: "num" }, value(one.old, one.unit, one.words)), el("td", { class: "num" }, value(one.new, one.unit, one.words))];
  const table = (label, heads, rows) =>
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, el("table", { class: "t" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)));
  const head = (text, name = "") => el("th", { class: name || null }, text);
  const parts = [];
  if (writes.length) {
    const rows = writes.map((one, index) =>
      el("tr", {}, el("td", { class: "num" }, String(index + 1)), point(one), ...numbers(one), el("td", {}, one.action, one.is_dangerous ? el("span", { class: "badge flag" }, "expert") : null), el("td", { class: "mut" }, one.reason)),
    );
    parts.push(el("h3", {}, "Is written, in this order"), table("What is written", [head("", "num"), head("Point"), head("Now", "num"), head("New", "num"), head("By"), head("Order")], rows));
  } else parts.push(el("p", {}, "Nothing is to be written."));
  if (rest.length) {
    const rows = rest.map((one) => el("tr", {}, point(one), ...numbers(one), el("td", {}, one.cause.message)));
    parts.push(el("h3", {}, "Is left as it is"), table("What is left", [head("Point"), head("Now", "num"), head("Snapshot", "num"), head("Why")], rows));
  }
  parts.push(el("p", { class: "mut" }, `${equal} points have their value already.`));
  for (const [why, all] of reasons(idle)) parts.push(el("p", { class: "mut" }, `${all.length === 1 ? "1 more has" : `${all.length} more have`} it too, and cannot be written: ${why}.`));
  if (silent.length) parts.push(el("p", {}, `Not told which values would be refused now, by: ${silent.join(", ")}.`));
  return parts;
}
