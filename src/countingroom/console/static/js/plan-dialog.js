// Law: before a partition is moved a person sees the whole way: stages, reasons, how long, who stays as it is, and what
// stands in the way.
import { $, el } from "./dom.js";
import { words } from "./format.js";
import { seconds } from "./run-parts.js";

// ask: {title, button, goal, dangerous?, fields?, tags?}; resolves {tag} when confirmed, else null.
export function planned(live, model, { title, button, goal, dangerous = false, fields = null }) {
  const dialog = $("#plan"),
    way = el("div", { "aria-live": "polite" }, el("p", { class: "mut" }, "Asking run control for the way…")),
    wrong = el("p", { class: "wrong", role: "alert" }),
    go = el("button", { class: dangerous ? "btn danger" : "btn primary", type: "button" }, button),
    cancel = el("button", { class: "btn", type: "button" }, "Cancel"),
    facts = el("dl", { class: "dl" });
  const seen = model.state.state;
  facts.append(el("dt", {}, "Now"), el("dd", {}, words(seen)), el("dt", {}, "Goal"), el("dd", {}, words(goal)));
  facts.append(el("dt", {}, "Configuration"), el("dd", {}, model.state.tag || "none"));
  dialog.replaceChildren(
    el("h2", { id: "plan-title" }, title),
    el("div", { class: "bd" }, facts, fields, way, wrong, el("div", { class: "acts" }, cancel, go)),
  );
  return new Promise((resolve) => {
    let sure = false;
    const timer = setInterval(() => {
      const moved = model.state && model.state.state !== seen ? `It is ${words(model.state.state)} now.` : "";
      const why = live.trusted ? moved : "The link is lost: nothing can be sent.";
      go.disabled = Boolean(why);
      wrong.textContent = why;
    }, 300);
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
    show(way, model, goal);
  });
}

async function show(way, model, goal) {
  let told;
  try {
    const answer = await fetch(`/api/v1/partitions/${encodeURIComponent(model.name)}/plan?goal=${encodeURIComponent(goal)}`);
    told = await answer.json();
  } catch (error) {
    told = { cause: { message: `the console did not answer: ${error.message}` } };
  }
  if (!told.plan) {
    way.replaceChildren(el("p", { class: "wrong" }, `The way is not known: ${told.cause.message}`));
    return;
  }
  const { stages, kept, expected_s, obstacle } = told.plan;
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
          ...stage.steps.map((step) =>
            el("li", {}, el("b", {}, step.system), el("span", {}, step.action), el("i", {}, step.reason), el("i", { class: "num" }, seconds(step.expected_s))),
          ),
        ),
      ),
    ),
  );
  const rest = Object.entries(kept);
  way.replaceChildren(
    ...(stages.length ? [list] : [el("p", { class: "mut" }, "Nothing has to be done.")]),
    el("p", { class: "kept" }, expected_s === null ? "How long it takes is not known yet." : `Expected: ${seconds(expected_s)}.`),
    ...(rest.length ? [el("p", { class: "kept" }, `Stays as it is: ${rest.map(([name, why]) => `${name} (${why})`).join(", ")}.`)] : []),
    ...(obstacle ? [el("p", { class: "wrong obstacle" }, `It will not get there: ${obstacle.message}${obstacle.suggestion ? `; ${obstacle.suggestion}` : ""}`)] : []),
  );
}
