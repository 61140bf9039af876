// The programs of results: their progress, and the buttons that start and stop them.
import { $, data, el, setText } from "./dom.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { mark } from "./acts.js";
import { duration, moment } from "./format.js";
import { note } from "./shell.js";
import { tellProgram } from "./commands.js";

function refusal(live, program, command) {
  if (!live.trusted && command !== "stop") return "The link is lost: commands are disabled.";
  const cause = data.denied[program.program]?.[command];
  return cause ? `${cause.message}; ${cause.suggestion}` : "";
}

// The value of a field as the parameter that it stands for.
function value(text, former) {
  if (typeof former === "boolean") return text === "true";
  if (typeof former !== "number") return text;
  return text.trim() === "" ? Number.NaN : Number(text);
}

async function start(live, program) {
  const why = refusal(live, program, "start");
  if (why) return note(why, { bad: true });
  const comment = el("input", { name: "comment", type: "text", maxlength: "500", autocomplete: "off" });
  const fields = Object.entries(program.parameters).map(([name, former]) => [name, former, el("input", { name, type: "text", value: former === null ? "" : String(former), autocomplete: "off" })]);
  const wrong = () => fields.filter(([, former, input]) => typeof former === "number" && !Number.isFinite(value(input.value, former))).map(([name]) => `${name} is a number.`)[0] ?? "";
  const sure = await confirm(live, {
    title: `Start ${program.title}?`,
    rows: [
      ["Needs", [...program.devices, ...program.partitions.map((one) => `no run of ${one}`)].join(", ") || "nothing"],
      ["At most", duration(program.time_limit_s)],
    ],
    button: `Start ${program.title}`,
    fields: el("div", { class: "fields" }, ...fields.map(([name, , input]) => boxed(name, input)), boxed("Comment", comment)),
    check: wrong,
  });
  if (!sure) return;
  const parameters = Object.fromEntries(fields.map(([name, former, input]) => [name, value(input.value, former)]));
  await told(live, program, "start", { comment: comment.value.trim(), parameters: JSON.stringify(parameters) });
}

async function stop(live, program) {
  const why = refusal(live, program, "stop");
  if (why) return note(why, { bad: true });
  const sure = await confirm(live, { title: `Stop ${program.title}?`, rows: [["Result", `${program.result}: what it has written is kept`]], button: `Stop ${program.title}`, safe: true });
  if (sure) await told(live, program, "stop", {});
}

async function told(live, program, command, values) {
  const answer = await tellProgram(live, program.program, command, { values });
  if (!answer.accepted) return note(`${program.title}: ${answer.cause.message}`, { bad: true, detail: answer.cause.suggestion });
  const event = await answer.outcome;
  if (event.kind === "failed") note(`${program.title}: ${event.cause?.message ?? event.message}`, { bad: true, detail: event.cause?.suggestion });
  else note(command === "start" ? `${program.title} runs: result ${event.data.result}` : `${program.title} is being stopped`);
}

// The progress of a running program.
export function progress(program) {
  const bar = el("progress", { max: 1, "aria-label": `progress of ${program.title}` });
  if (program.progress !== null) bar.value = program.progress;
  const percent = program.progress === null ? "" : `${Math.round(program.progress * 100)} %`;
  return [bar, el("span", { class: "mut" }, [percent, program.comment || program.said].filter(Boolean).join("  "))];
}

function card(live, program) {
  const running = program.result > 0;
  const button = el("button", { class: running ? "btn small" : "btn small primary", type: "button", "data-program": program.program, onclick: () => (running ? stop : start)(live, program) }, running ? "Stop…" : "Start…");
  mark(button, refusal(live, program, running ? "stop" : "start"));
  const about = running
    ? [el("a", { href: `/results/${program.result}` }, `result ${program.result}`), el("span", { class: "mut" }, `since ${moment(program.since_ns)} by ${program.by}`), ...progress(program)]
    : [program.last ? el("a", { href: `/results/${program.last}` }, `result ${program.last}: ${program.last_state}`) : el("span", { class: "mut" }, "does not run")];
  return el("div", { class: "program" }, el("b", {}, program.title), el("div", { class: "program-now" }, ...about), button);
}

// Shows the programs in #programs, and calls changed() when one has begun or ended.
export function programs(live, changed) {
  const known = new Map(data.programs.map((one) => [one.program, one]));
  const draw = () => {
    const listed = [...known.values()].sort((a, b) => a.title.localeCompare(b.title));
    const held = document.activeElement?.dataset?.program;
    $("#programs").replaceChildren(...listed.map((one) => card(live, one)));
    if (held) $(`#programs [data-program="${CSS.escape(held)}"]`)?.focus();
    $("#no-programs").hidden = listed.length > 0;
    const many = listed.filter(({ result }) => result).length;
    setText($("#programs-sum"), many ? `${many} running` : "none runs");
  };
  watch(live, known, draw, changed);
  live.on("link", draw);
  draw();
}

// Keeps `known` as the live feed tells.
export function watch(live, known, draw, changed) {
  live.on("change", ({ states }) => {
    let any = false,
      other = false;
    for (const [key, state] of Object.entries(states)) {
      if (!key.startsWith("result_program.")) continue;
      const name = key.slice("result_program.".length),
        before = known.get(name);
      any = true;
      if (!state) known.delete(name);
      else known.set(name, state);
      other ||= before?.result !== state?.result || before?.last !== state?.last;
    }
    if (any) draw();
    if (other) changed();
  });
}
