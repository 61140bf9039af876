// The confirmation before a partition is moved: the plan with its stages, reasons, expected time, systems that stay as
// they are, and what blocks it.
import { $, el } from "./dom.js";
import { words } from "./format.js";
import { seconds, some } from "./run-parts.js";

const MANY = 12;

// `safe`: it leads to a safe state, so it is sent without a link too. Resolves {seen}, the state that was shown, when
// confirmed; else null.
export function planned(live, model, { title, button, goal, dangerous = false, safe = false, fields = null, inPlace = false, check = () => "" }) {
  const dialog = $("#plan"),
    way = el("div", { "aria-live": "polite" }, el("p", { class: "mut" }, "Asking run control for the plan…")),
    wrong = el("p", { class: "wrong", role: "alert" }),
    go = el("button", { class: dangerous ? "btn danger" : "btn primary", type: "button" }, button),
    cancel = el("button", { class: "btn", type: "button" }, "Cancel"),
    facts = el("dl", { class: "dl" });
  const seen = model.state.state;
  facts.append(el("dt", {}, "Now"), el("dd", {}, words(seen)), el("dt", {}, "Goal"), el("dd", {}, words(goal)));
  if (!live.trusted) facts.append(el("dt", {}, "No link"), el("dd", {}, `the state shown here is ${live.oldness}`));
  facts.append(el("dt", {}, "Configuration"), el("dd", {}, model.state.tag || "none"));
  dialog.replaceChildren(
    el("h2", { id: "plan-title" }, title),
    el("div", { class: "bd" }, facts, fields, way, wrong, el("div", { class: "acts" }, cancel, go)),
  );
  return new Promise((resolve) => {
    let sure = false;
    const judge = () => {
      const moved = model.state && model.state.state !== seen ? `It is ${words(model.state.state)} now.` : "";
      const why = live.trusted || safe ? moved || check() : "The link is lost: nothing can be sent.";
      go.disabled = Boolean(why);
      if (wrong.textContent !== why) wrong.textContent = why;
    };
    const timer = setInterval(judge, 300);
    judge();
    dialog.oninput = judge;
    dialog.onkeydown = (event) => {
      if (event.key === "Enter" && event.target.matches("input, select")) {
        event.preventDefault();
        go.click();
      }
    };
    cancel.onclick = () => dialog.close();
    go.onclick = () => {
      sure = true;
      dialog.close();
    };
    dialog.onclose = () => {
      clearInterval(timer);
      resolve(sure ? { seen } : null);
    };
    dialog.showModal();
    (fields?.querySelector("input, select") ?? (dangerous ? cancel : go)).focus();
    show(way, model, goal, inPlace);
  });
}

async function show(way, model, goal, inPlace) {
  let answered;
  try {
    const answer = await fetch(`/api/v1/partitions/${encodeURIComponent(model.name)}/plan?${new URLSearchParams({ goal, reconfigure: inPlace })}`);
    answered = await answer.json();
  } catch (error) {
    answered = { cause: { message: `the console did not answer: ${error.message}` } };
  }
  if (!answered.plan) {
    way.replaceChildren(el("p", { class: "wrong" }, `The plan is not known: ${answered.cause.message}`));
    return;
  }
  const { stages, kept, expected_s, obstacle } = answered.plan;
  const list = el(
    "ol",
    { class: "stages" },
    ...stages.map((stage, index) =>
      el(
        "li",
        {},
        el("h3", {}, `${index + 1}. ${words(stage.title)}`, el("span", { class: "sp" }), el("i", {}, seconds(stage.expected_s))),
        el(
          "ul",
          {},
          ...together(stage.steps).map(({ names, action, reason, expected_s: takes }) =>
            el(
              "li",
              {},
              el("b", {}, names.length > 1 ? `${names.length} systems` : names[0]),
              el("span", {}, action),
              el("i", {}, reason),
              el("i", { class: "num" }, seconds(takes)),
              names.length > 1 ? el("div", { class: "names" }, names.join(", ")) : null,
            ),
          ),
        ),
      ),
    ),
  );
  const rest = new Map();
  for (const [name, why] of Object.entries(kept)) rest.set(why, [...(rest.get(why) ?? []), name]);
  const stays = [...rest].map(([why, names]) => `${some(names)} (${why})`).join("; ");
  way.replaceChildren(
    ...(stages.length ? [list] : [el("p", { class: "mut" }, "Nothing has to be done.")]),
    el("p", { class: "kept" }, expected_s === null ? "How long it takes is not known yet." : `Expected: ${seconds(expected_s)}.`),
    ...(stays ? [el("p", { class: "kept" }, `Stays as it is: ${stays}.`)] : []),
    ...(obstacle ? [el("p", { class: "wrong obstacle" }, `It will not reach the goal: ${obstacle.message}${obstacle.suggestion ? `; ${obstacle.suggestion}` : ""}`)] : []),
  );
}

// Where there are many steps, those that differ only in their system as one.
function together(steps) {
  const found = new Map();
  for (const step of steps) {
    const key = steps.length > MANY ? `${step.action} ${step.reason}` : step.system;
    const same = found.get(key);
    if (same) {
      same.names.push(step.system);
      same.expected_s = Math.max(same.expected_s ?? 0, step.expected_s ?? 0) || null;
    } else found.set(key, { ...step, names: [step.system] });
  }
  return [...found.values()];
}
