// The page of interlocks: each matrix as it is now, and below it what tripped, what is bypassed, and the proof tests.
import { $, $$, data, el } from "./dom.js";
import { after, clock, iso, moment } from "./format.js";
import { mark } from "./acts.js";
import { glyph } from "./parts.js";
import { bypass, endBypass, proofTest, refusal, reset } from "./interlock-acts.js";
import { causeState, cell, counts, csv, effectNow, isTripped, isUnknown, needs, rest, titleOf, vote, written } from "./interlock-model.js";

const ROWS = 40;
const COLUMNS = ["cause", "true", "now-value", "vote", "state"]; // where it is narrow, the first has what the next three say
const KINDS = { trip: "tripped", cause: "tripped too", act: "begins", release: "ends", would_trip: "would have tripped" };

const time = (ns, text = moment(ns)) => el("time", { datetime: iso(ns), title: `${moment(ns)} UTC` }, text);
const rows = (pairs) => el("dl", { class: "dl" }, ...pairs.filter(([, text]) => text).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]));

export function page(live) {
  live.watch = { devices: [], points: false, states: true, events: true, partitions: ["", ...data.partitions_of_interlocks] };
  const states = new Map(), // name -> published state
    partitions = new Map(), // name -> published state, of those that effects stop or hold
    hosts = new Map(), // key -> what a device host says of its part
    histories = new Map(); // name -> {of: the change that was asked for, rows, problem}

  const act = (name, text, why, does, more = {}) => {
    const button = el("button", { class: "btn small", type: "button", "data-act": name, onclick: () => !why && does(), ...more }, text);
    mark(button, why);
    return button;
  };

  function matrix(state, nowNs) {
    const head = el(
      "tr",
      {},
      ...["Cause", "True when", "Value", "Vote", "State"].map((text, index) => el("th", { scope: "col", class: COLUMNS[index] }, text)),
      ...state.effects.map((one) => el("th", { class: "e", scope: "col" }, titleOf(one), el("small", {}, one.does))),
    );
    const now = el(
      "tr",
      { class: "now" },
      el("th", { scope: "row" }, "Effects now"),
      ...COLUMNS.slice(1).map((name) => el("td", { class: name })),
      ...state.effects.map((one) => {
        const { text, bad, told } = effectNow(state, one, partitions.get(one.partition), nowNs);
        return el("td", { class: bad ? "e bad" : "e", title: one.trouble || told || null, "data-effect": one.name }, text);
      }),
    );
    const body = state.causes.map((cause) => {
      const told = causeState(state, cause, nowNs),
        first = isTripped(state) && state.first_out === cause.name;
      return el(
        "tr",
        { class: told.tripped ? "tripped" : "", "data-cause": cause.name },
        el("th", { scope: "row" }, titleOf(cause), el("small", {}, cause.inputs.map((one) => `${one.text}: ${isUnknown(one) ? one.truth : written(one.value)}`).join("; "))),
        el("td", { class: "true" }, cause.inputs.map(({ text }) => text).join("; ")),
        el("td", { class: "now-value" }, ...cause.inputs.flatMap((input, index) => [index ? " · " : "", value(input)])),
        el("td", { class: "vote nw mut" }, vote(cause)),
        el("td", { class: "state" }, told.level ? glyph(told.level) : null, told.tripped ? el("b", {}, told.text) : told.text, first ? " " : null, first ? el("span", { class: "first" }, "first out") : null),
        ...state.effects.map((effect) => {
          const found = cell(state, cause, effect, nowNs);
          return el("td", { class: "e" }, found ? el("span", { class: `il-c ${found.kind}`, title: found.told, role: "img", "aria-label": found.told }, found.text) : null);
        }),
      );
    });
    return el("table", { class: "t matrix" }, el("thead", {}, head), el("tbody", {}, now, ...body));
  }

  const value = (input) => (isUnknown(input) ? el("span", { class: "stale", title: input.text }, input.truth) : el(counts(input) ? "b" : "span", { title: input.text }, written(input.value)));

  function happened(state) {
    const known = histories.get(state.name);
    const title = (name) => titleOf(state.causes.find((one) => one.name === name) ?? state.effects.find((one) => one.name === name) ?? { name });
    const of = (known?.rows ?? []).filter(({ trip }) => trip === state.trip).reverse(),
      begin = of.find(({ kind }) => kind === "trip")?.time_ns ?? state.tripped_ns;
    const list = of.map((one) =>
      el("li", {}, el("span", { class: "mut", title: `${moment(one.time_ns)} UTC` }, after(one.time_ns - begin)), el("span", {}, told(one, title(one.name)))),
    );
    for (const one of state.effects.filter(({ due_ns, acting_ns }) => due_ns !== null && acting_ns === null))
      list.push(el("li", {}, el("span", { class: "mut" }, `in ${rest(one.due_ns - live.nowNs())}`), el("span", {}, `${titleOf(one)}: ${one.does}`)));
    if (known?.problem) list.push(el("li", {}, el("span", {}), el("span", { class: "stale" }, known.problem)));
    return el("ul", {}, ...list);
  }

  function trip(state, why) {
    const tripped = isTripped(state),
      wanted = needs(state),
      missing = wanted.filter(([holds]) => holds === false).length;
    const first = state.causes.find(({ name }) => name === state.first_out);
    const heading = tripped ? [glyph(1), ` Tripped at ${clock(state.tripped_ns)}`, first ? `, first out: ${titleOf(first)}` : ""] : [state.unread ? "Not known whether it is tripped: the database was not read" : state.trip ? `Not tripped; trip ${state.trip} was the last` : "It has never tripped"];
    return el(
      "section",
      { class: tripped ? "card bad" : "card", "aria-label": "Trip" },
      el("h2", {}, el("span", {}, ...heading), el("span", { class: "sp" }), tripped ? el("a", { class: "btn small", href: `/alarms#interlock.${state.name}` }, "Alarm") : null),
      el(
        "div",
        { class: "bd" },
        el(
          "div",
          { class: "pair" },
          state.trip ? el("div", {}, el("h3", {}, "What happened"), happened(state)) : null,
          tripped
            ? el("div", {}, el("h3", {}, "Reset is possible when"), el("ul", { class: "needs" }, ...wanted.map(([holds, text]) => el("li", {}, el("span", { class: holds === false ? "no" : "", "aria-hidden": "true" }, holds === null ? "·" : holds ? "✓" : "✕"), el("span", {}, text)))))
            : state.reset_ns ? el("div", {}, el("h3", {}, "Last reset"), el("p", {}, time(state.reset_ns), state.reset_by ? ` by ${state.reset_by}${state.reset_reason ? `: ${state.reset_reason}` : ""}` : ", by itself")) : null,
        ),
        tripped ? el("div", { class: "acts2" }, act("reset", "Reset…", why || (missing ? `${missing} ${missing === 1 ? "condition is" : "conditions are"} missing.` : ""), () => reset(live, states.get(state.name)), { class: "btn" })) : null,
      ),
    );
  }

  // A row of the history; its text often begins with the title again.
  function told({ name, kind, text, person }, title) {
    const more = text === title ? "" : text.startsWith(`${title}: `) ? text.slice(title.length + 2) : text;
    return `${name ? `${title} ` : ""}${KINDS[kind] ?? kind.replaceAll("_", " ")}${more ? `: ${more}` : ""}${person ? ` (${person})` : ""}`;
  }

  function bypassed(state, why) {
    const found = state.causes.filter((one) => one.bypass);
    const free = state.causes.length > found.length;
    return el(
      "section",
      { class: "card", "aria-label": "Bypassed causes" },
      el("h2", {}, `Bypassed ${found.length}`, el("span", { class: "sp" }), act("bypass", "Bypass a cause…", why || (free ? "" : "Every cause is bypassed."), () => bypass(live, states.get(state.name)))),
      el(
        "div",
        { class: "bd" },
        found.length ? null : el("p", { class: "mut" }, "No cause is bypassed."),
        ...found.map((cause) =>
          el(
            "div",
            { class: "by" },
            el("b", {}, titleOf(cause)),
            rows([
              ["Reason", cause.bypass.reason],
              ["By", `${cause.bypass.by}, ${moment(cause.bypass.since_ns)}`],
              ["Until", `${moment(cause.bypass.until_ns)}, ${rest(cause.bypass.until_ns - live.nowNs())} left`],
              ["Without it", cause.would_trip ? `it would trip now: ${leads(state, cause)}` : "it would not trip now"],
            ]),
            el("div", { class: "acts2" }, act("end_bypass", "End now…", why, () => endBypass(live, states.get(state.name), cause), { "data-cause": cause.name })),
          ),
        ),
      ),
    );
  }

  const leads = (state, cause) => state.matrix.filter((one) => one.cause === cause.name).map((one) => titleOf(state.effects.find(({ name }) => name === one.effect))).join(", ");

  function proof(state, why) {
    const last = state.proof,
      overdue = state.proof_due_ns !== null && state.proof_due_ns <= live.nowNs();
    return el(
      "section",
      { class: "card", "aria-label": "Proof tests" },
      el("h2", {}, "Proof tests", el("span", { class: "sp" }), act("proof_test", "Record one…", why, () => proofTest(live, states.get(state.name)))),
      el(
        "div",
        { class: "bd" },
        rows([
          ["Last", last ? `${moment(last.time_ns)}, ${last.passed ? "passed" : "FAILED"}, ${last.by}` : "not yet tested"],
          ["Cause", last ? titleOf(state.causes.find(({ name }) => name === last.cause) ?? { title: "every cause" }) : ""],
          ["Found", last?.comment ?? ""],
          ["Next due", state.proof_due_ns === null ? "no period is declared" : moment(state.proof_due_ns).slice(0, 10)],
        ]),
        overdue ? el("p", {}, glyph(3), " ", el("b", {}, "The proof test is overdue.")) : null,
      ),
    );
  }

  // Where it is evaluated: in the engine, and in which device hosts.
  function places(state) {
    const found = [...hosts.values()].filter((one) => one.name === state.name && one.evaluates).map(({ instance }) => instance);
    const silent = [...hosts.values()].filter((one) => one.name === state.name && one.silent_since_ns);
    const told = found.length ? `evaluated in the engine and in the device host ${found.join(", ")}` : "evaluated in the engine";
    return silent.length ? `${told}; no engine is heard: the safe outputs are applied` : told;
  }

  function section(state) {
    const nowNs = live.nowNs(),
      why = refusal(live);
    return el(
      "div",
      { class: "il", "data-interlock": state.name },
      el(
        "section",
        { class: "card", "aria-label": `Interlock ${titleOf(state)}` },
        el("h2", {}, isTripped(state) ? glyph(1) : null, titleOf(state), el("span", { class: "mut" }, places(state)), el("span", { class: "sp" }), el("button", { class: "btn small", type: "button", "data-act": "csv", onclick: () => save(states.get(state.name)) }, "Matrix as CSV")),
        el("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": `Matrix of ${titleOf(state)}` }, matrix(state, nowNs)),
      ),
      el("div", { class: "three" }, trip(state, why), bypassed(state, why), proof(state, why)),
    );
  }

  function save(state) {
    const address = URL.createObjectURL(new Blob([csv(state)], { type: "text/csv" }));
    el("a", { href: address, download: `interlock-${state.name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  function draw() {
    const at = document.activeElement?.closest?.("[data-act]"),
      kept = at && [at.closest("[data-interlock]").dataset.interlock, at.dataset.act, at.dataset.cause ?? ""],
      scrolled = new Map($$("#interlocks [data-interlock]").map((one) => [one.dataset.interlock, $(".scroll", one).scrollLeft]));
    const listed = [...states.values()].sort((a, b) => Number(isTripped(b)) - Number(isTripped(a)) || titleOf(a).localeCompare(titleOf(b)));
    $("#interlocks").replaceChildren(...listed.map(section));
    for (const [name, left] of scrolled) {
      const scroll = $(`#interlocks [data-interlock="${CSS.escape(name)}"] .scroll`);
      if (scroll) scroll.scrollLeft = left;
    }
    if (kept) $(`#interlocks [data-interlock="${CSS.escape(kept[0])}"] [data-act="${kept[1]}"]${kept[2] ? `[data-cause="${CSS.escape(kept[2])}"]` : ""}`)?.focus();
    $("#no-interlocks").hidden = listed.length > 0 || !live.trusted;
    $("#interlock-legend").hidden = listed.length === 0;
  }

  // Whether a trip would do something else to this partition; its members report often.
  const differs = (before, now) => before?.run !== now?.run || !before?.refusals.stop !== !now?.refusals.stop;

  // The history is asked for when the interlock tripped, acted, was reset or was bypassed.
  async function ask(state) {
    const of = JSON.stringify([state.trip, state.reset_ns, state.causes.map(({ bypass, tripped_ns }) => [tripped_ns, bypass?.until_ns]), state.effects.map(({ acting_ns, reached_ns, trouble }) => [acting_ns, reached_ns, trouble])]);
    if (histories.get(state.name)?.of === of) return;
    const kept = histories.get(state.name)?.rows ?? [];
    histories.set(state.name, { of, rows: kept, problem: "" });
    let found = { of, rows: kept, problem: "" };
    try {
      const answer = await fetch(`/api/v1/interlocks/${encodeURIComponent(state.name)}/history?limit=${ROWS}`),
        told = await answer.json();
      if (answer.ok) found = { of, rows: told.history, problem: "" };
      else found.problem = told.cause?.message ?? "the alarm department did not answer";
    } catch (error) {
      found.problem = error.message;
    }
    if (histories.get(state.name)?.of !== of) return;
    histories.set(state.name, found);
    draw();
  }

  live.on("change", ({ states: changed, snapshot }) => {
    let any = snapshot;
    if (snapshot) {
      states.clear();
      hosts.clear();
      partitions.clear();
    }
    for (const [key, state] of Object.entries(changed)) {
      const into = key.startsWith("interlock.") ? states : key.startsWith("interlock_host.") ? hosts : key.startsWith("partition.") ? partitions : null;
      if (!into) continue;
      const name = into === hosts ? key : key.slice(key.indexOf(".") + 1);
      any ||= into !== partitions || differs(partitions.get(name), state);
      if (state) into.set(name, state);
      else into.delete(name);
      if (state && into === states) ask(state);
    }
    if (any) draw();
  });
  live.on("link", draw);
  // Times that run: a delay, the rest of a bypass.
  setInterval(() => {
    const runs = [...states.values()].some((one) => one.causes.some(({ due_ns, bypass }) => due_ns || bypass) || one.effects.some(({ due_ns }) => due_ns));
    if (runs && !$("#confirm").open) draw();
  }, 1000);
  draw();
}
