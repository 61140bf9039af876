// What a person does with an interlock: reset it, bypass a cause or end that, record a proof test.
import { duration } from "./format.js";
import { data, el } from "./dom.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { note } from "./shell.js";
import { post } from "./post.js";
import { titleOf } from "./interlock-model.js";

const WAIT_S = 5;
const SPANS = [600, 1800, 3600, 14400, 28800, 86400];

// Why this person cannot give a command now, or "".
export function refusal(live) {
  if (!live.trusted) return "The link is lost: commands are disabled.";
  const cause = data.denied_interlocks;
  return cause ? cause.message + (cause.suggestion ? `; ${cause.suggestion}` : "") : "";
}

async function give(state, command, values, done) {
  const answer = await post(`/api/v1/interlocks/${encodeURIComponent(state.name)}/commands/${command}`, { arguments: values, wait_s: WAIT_S });
  const cause = answer.done ? answer.told.outcome?.cause : answer.cause;
  if (cause) note(`${titleOf(state)}: not ${done}. ${cause.message}`, { bad: true, detail: cause.suggestion });
  else note(`${titleOf(state)}: ${done}`);
}

async function sure(live, state, { command, done, values = () => ({}), ...dialog }) {
  const why = refusal(live);
  if (why) return note(why, { bad: true });
  if (await confirm(live, dialog)) await give(state, command, values(), done);
}

const choice = (name, options) => el("select", { name }, ...options.map(([value, text]) => el("option", { value }, text)));
const line = (name) => el("input", { name, type: "text", maxlength: "500", autocomplete: "off" });
const causes = (found) => choice("cause", found.map((one) => [one.name, titleOf(one)]));

export function reset(live, state) {
  const reason = line("reason");
  return sure(live, state, {
    command: "reset",
    done: "reset",
    values: () => (reason.value.trim() ? { reason: reason.value.trim() } : {}),
    title: `Reset ${titleOf(state)}?`,
    rows: [
      ["After that", "what it forbids is allowed again; outputs stay as they are until a person switches them"],
      ["Role", state.reset_role],
    ],
    button: `Reset ${titleOf(state)}`,
    fields: el("div", {}, boxed("What was found and mended; it goes into the record", reason)),
  });
}

export function bypass(live, state) {
  const longest = state.longest_bypass_ns / 1e9,
    spans = [...SPANS.filter((one) => one < longest), longest],
    cause = causes(state.causes.filter((one) => !one.bypass)),
    seconds = choice("seconds", spans.map((one) => [String(one), duration(one)])),
    reason = line("reason");
  return sure(live, state, {
    command: "bypass",
    done: "bypassed",
    values: () => ({ cause: cause.value, seconds: Number(seconds.value), reason: reason.value.trim() }),
    title: `Bypass a cause of ${titleOf(state)}?`,
    rows: [
      ["Stops", "this cause trips nothing until the end of the bypass"],
      ["Goes on", "it is evaluated and shown, with what it would have done"],
      ["Role", state.bypass_role],
    ],
    button: "Bypass the cause",
    dangerous: true,
    fields: el("div", {}, boxed("Cause", cause), boxed(`For how long, at most ${duration(longest)}`, seconds), boxed("Reason, required; all users see it", reason)),
    check: () => (reason.value.trim() ? "" : "The reason is missing."),
  });
}

export const endBypass = (live, state, cause) =>
  sure(live, state, {
    command: "end_bypass",
    done: "bypass ended",
    values: () => ({ cause: cause.name }),
    title: `End the bypass of ${titleOf(cause)}?`,
    rows: [["After that", cause.would_trip ? "it trips at once" : "it trips when it is true"]],
    button: "End the bypass",
    dangerous: cause.would_trip,
  });

export function proofTest(live, state) {
  const cause = choice("cause", [["", "every cause"], ...state.causes.map((one) => [one.name, titleOf(one)])]),
    passed = choice("passed", [["true", "passed: it did what it should"], ["false", "failed"]]),
    comment = line("comment");
  return sure(live, state, {
    command: "proof_test",
    done: "proof test recorded",
    values: () => ({
      passed: passed.value === "true",
      ...(comment.value.trim() ? { comment: comment.value.trim() } : {}),
      ...(cause.value ? { cause: cause.value } : {}),
    }),
    title: `Record a proof test of ${titleOf(state)}`,
    rows: [
      ["Before", `with simulated devices: countingroom interlock test ${state.name}`],
      ["Role", state.bypass_role],
    ],
    button: "Record the test",
    fields: el("div", {}, boxed("Cause that was provoked", cause), boxed("Result", passed), boxed("What was done and found", comment)),
    check: () => (passed.value === "false" && !comment.value.trim() ? "Say what failed." : ""),
  });
}
