// What an interlock says, in words: its causes, its effects, what a reset needs. It decides nothing: each word follows
// from the published state.
import { clock, duration } from "./format.js";

const UNKNOWN = ["stale", "bad", "missing"];

export const titleOf = (one) => one.title || one.name;
export const counts = ({ truth }) => truth !== "false";
export const isUnknown = ({ truth }) => UNKNOWN.includes(truth);
export const isTripped = ({ tripped_ns }) => tripped_ns !== null && tripped_ns !== undefined;

// A rest of time as 2:53, or 8 s.
export function rest(ns) {
  const seconds = Math.max(0, Math.ceil(ns / 1e9));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export const written = (value) => (value === null || value === undefined ? "–" : typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value).replaceAll("\n", " "));

// How many inputs count, of how many, and how many are needed.
export function vote(cause) {
  if (cause.inputs.length < 2) return "–";
  return `${cause.inputs.filter(counts).length} of ${cause.inputs.length}, trips at ${cause.vote}`;
}

// The state of a cause: {text, level: of the glyph, tripped}.
export function causeState(state, cause, nowNs) {
  if (cause.bypass) return { text: `bypassed until ${clock(cause.bypass.until_ns).slice(0, 5)}`, level: cause.would_trip ? 2 : 0 };
  if (isTripped(cause)) {
    const gone = cause.present_since_ns === null ? ", it is gone" : "";
    return { text: `TRIPPED${gone}`, level: 1, tripped: true };
  }
  if (cause.present_since_ns !== null)
    return { text: cause.due_ns ? `true, trips in ${rest(cause.due_ns - nowNs)}` : "true", level: 2 };
  const true_now = cause.inputs.filter(counts).length;
  if (true_now && true_now === cause.vote - 1) return { text: "one more trips", level: 3 };
  return { text: "normal", level: 0 };
}

// What an effect does now, or would do: {text, bad, told}. partition: the published state of its partition, if any.
export function effectNow(state, effect, partition, nowNs) {
  if (effect.acting_ns === null) {
    if (effect.due_ns !== null) return { text: `in ${rest(effect.due_ns - nowNs)}`, bad: true };
    return { bad: false, ...wouldDo(state, effect, partition) };
  }
  if (effect.kind === "forbid") return { text: "forbidden", bad: true };
  if (effect.reached_ns !== null) return { text: "done", bad: true };
  return { text: effect.trouble ? "not reached" : "under way", bad: true };
}

// What an effect that does not act would do, or already keeps from being done.
function wouldDo(state, effect, partition) {
  if (effect.kind === "forbid") {
    if (state.unread) return { text: "forbidden", bad: true, told: "it is not known whether the interlock is tripped" };
    const leads = state.matrix.filter((one) => one.effect === effect.name).map(({ cause }) => cause);
    const present = state.causes.find((one) => leads.includes(one.name) && one.present_since_ns !== null && !one.bypass);
    return present ? { text: "forbidden", bad: true, told: `a cause is present: ${titleOf(present)}` } : { text: "free", told: `a start of ${effect.partition} is not forbidden by this interlock` };
  }
  if (effect.kind !== "stop" || !partition) return { text: "–" };
  if (partition.run) return { text: `stops run ${partition.run}`, told: `a trip would stop run ${partition.run} of ${effect.partition}` };
  if (!partition.refusals.stop) return { text: "stop possible", told: `${effect.partition} is about to record: a trip would stop that` };
  return { text: "no run", told: `no run of ${effect.partition} is open: a trip would stop nothing` };
}

// A cell of the matrix: {text, kind: "" | "acts" | "due" | "off", told}, or null where the cause does not lead there.
export function cell(state, cause, effect, nowNs) {
  const found = state.matrix.find((one) => one.cause === cause.name && one.effect === effect.name);
  if (!found) return null;
  const sign = effect.kind === "forbid" ? "P" : found.delay_ns ? duration(found.delay_ns / 1e9) : "✕";
  const does = `${titleOf(effect)}: ${effect.does}${found.delay_ns ? `, ${duration(found.delay_ns / 1e9)} after the trip` : ""}`;
  if (cause.bypass) return { text: sign, kind: "off", told: `${does}; bypassed` };
  if (isTripped(cause)) {
    const due = cause.tripped_ns + found.delay_ns;
    if (effect.acting_ns !== null && due <= nowNs) return { text: effect.kind === "forbid" ? "P" : "✕", kind: "acts", told: `${does}; acts now` };
    if (effect.due_ns !== null) return { text: rest(effect.due_ns - nowNs), kind: "due", told: `${does}; its delay runs` };
  }
  return { text: sign, kind: "", told: does };
}

// What a reset needs: [holds, text].
export function needs(state) {
  const found = state.causes
    .filter((one) => !one.bypass && one.present_since_ns !== null)
    .map((one) => [false, `${titleOf(one)} is gone: no, ${one.inputs.filter(counts).map(inputNow).join(", ")}`]);
  const quiet = state.causes.length - found.length;
  if (quiet) found.push([true, found.length ? `${quiet} other ${quiet === 1 ? "cause is" : "causes are"} gone or bypassed` : "every cause is gone or bypassed"]);
  found.push([null, `the role ${state.reset_role} is needed`]);
  return found;
}

export const inputNow = (input) => (isUnknown(input) ? `${input.text} (${input.truth})` : `${input.text}: ${written(input.value)}`);

// The matrix as CSV.
export function csv(state) {
  const quote = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const head = ["cause", "true when", "vote", ...state.effects.map((one) => `${titleOf(one)} (${one.does})`)];
  const rows = state.causes.map((cause) => [
    titleOf(cause),
    cause.inputs.map(({ text }) => text).join("; "),
    `${cause.vote} of ${cause.inputs.length}`,
    ...state.effects.map((effect) => {
      const found = state.matrix.find((one) => one.cause === cause.name && one.effect === effect.name);
      return found ? `${effect.kind === "forbid" ? "P" : "X"}${found.delay_ns ? ` after ${duration(found.delay_ns / 1e9)}` : ""}` : "";
    }),
  ]);
  return [head, ...rows].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
}
