// What a person does with alarms: each is one request for all that are named, with occurrence and priority that were seen.
import { $, data, el, setText } from "./dom.js";
import { duration, iso } from "./format.js";
import { confirm } from "./confirm.js";
import { boxed } from "./buttons.js";
import { note } from "./shell.js";
import { post } from "./post.js";
import { WAITING } from "./alarm-model.js";
import { sign, word } from "./alarm-words.js";

const WAIT_S = 5;
const AT_ONCE = 500; // alarms of one request, which has at most 64 KiB
const MOST_ASKED = 200; // definitions of one question
const MOST_LISTED = 40;
const SPANS = { shelve: [600, 1200, 1800, 3600, 14400, 28800, 86400], out_of_service: [86400, 259200, 604800, 2592000] };
const DONE = {
  acknowledge: "acknowledged",
  reset: "reset",
  shelve: "shelved",
  unshelve: "unshelved",
  out_of_service: "taken out of service",
  in_service: "put back into service",
  comment: "commented",
};

export const several = (alarms) => (alarms.length === 1 ? alarms[0].title : `${alarms.length} alarms`);

// Why this person cannot give this command now, or "".
export function refusal(live, command) {
  if (!live.trusted) return "The link is lost: commands are disabled.";
  const cause = data.denied_alarms?.[command];
  return cause ? cause.message + (cause.suggestion ? `; ${cause.suggestion}` : "") : "";
}

export async function give(command, alarms, values = {}, named = alarms) {
  let cause = null,
    others = "";
  for (let first = 0; first < alarms.length && !cause; first += AT_ONCE) {
    const seen = Object.fromEntries(
      alarms.slice(first, first + AT_ONCE).map(({ id, occurrence, priority }) => [id, priority ? [occurrence, priority] : occurrence])
    );
    const answer = await post(`/api/v1/alarms/commands/${command}`, { alarms: seen, arguments: values, wait_s: WAIT_S });
    cause = answer.done ? answer.told.outcome?.cause : answer.cause;
    if (answer.told?.outcome?.data?.refused) others = answer.told.outcome.data.refusals;
  }
  if (cause) note(`${several(named)}: not ${DONE[command]}. ${cause.message}`, { bad: true, detail: cause.suggestion });
  else if (others) note(`${several(named)}: not all ${DONE[command]}`, { bad: true, detail: others });
  else note(`${several(named)}: ${DONE[command]}`);
  return !cause;
}

// With a cause its consequences are acknowledged: they are one fault, and stand below it. `named`: how many were pressed.
export const acknowledge = (alarms, named = alarms) => give("acknowledge", alarms, {}, named);

// An alarm of the overview or the bar with what follows from it, of those that wait for a person.
export function withFollowers(live, { id, occurrence, level, priority = level, title }) {
  const at = live.alarms.findIndex((one) => one.id === id),
    rest = at < 0 ? [] : live.alarms.slice(at + 1),
    end = rest.findIndex((one) => one.after_ns === null);
  const below = (end < 0 ? rest : rest.slice(0, end)).filter(({ base }) => WAITING.includes(base));
  return [{ id, occurrence, priority, title }, ...below.map((one) => ({ ...one, priority: one.level }))];
}
export const unshelve = (alarms) => give("unshelve", alarms);

async function sure(live, command, alarms, { title, button, rows = [], fields = null, values = () => ({}), check = () => "" }) {
  const why = refusal(live, command);
  if (why) return note(why, { bad: true });
  const told = [["Alarms", alarms.slice(0, 5).map((one) => one.title).join(", ") + (alarms.length > 5 ? ` and ${alarms.length - 5} more` : "")]];
  const yes = await confirm(live, { title, rows: [...told, ...rows], button, fields, check });
  return yes && give(command, alarms, values());
}

export const reset = (live, alarms) =>
  sure(live, "reset", alarms, {
    title: `Reset ${several(alarms)}?`,
    rows: [["Now", "the condition is clear, and the alarm is acknowledged"]],
    button: `Reset ${several(alarms)}`,
  });

export const inService = (live, alarms) =>
  sure(live, "in_service", alarms, {
    title: `Put ${several(alarms)} back into service?`,
    rows: [["After that", "an alarm whose condition is true is announced"]],
    button: `Into service: ${several(alarms)}`,
  });

export function comment(live, alarms) {
  const text = el("input", { name: "comment", type: "text", maxlength: "500", autocomplete: "off" });
  return sure(live, "comment", alarms, {
    title: `Comment on ${several(alarms)}`,
    button: "Write the comment",
    fields: boxed("Comment", text),
    values: () => ({ comment: text.value.trim() }),
    check: () => (text.value.trim() ? "" : "The comment is missing."),
  });
}

// The definitions of these alarms: {by identity, why they are missing}.
async function definitions(alarms) {
  const query = new URLSearchParams(alarms.slice(0, MOST_ASKED).map(({ id }) => ["id", id]));
  try {
    const answer = await fetch(`/api/v1/alarms/definitions?${query}`),
      told = await answer.json();
    if (!answer.ok) return [new Map(), told.cause?.message ?? "the alarm department did not answer"];
    return [new Map(told.definitions.map((one) => [one.id, one])), ""];
  } catch (error) {
    return [new Map(), error.message];
  }
}

export const shelve = (live, alarms) => setAside(live, "shelve", alarms);
export const outOfService = (live, alarms) => setAside(live, "out_of_service", alarms);

// The dialog of a shelf or of out of service: who, why, how long, what stops and what goes on.
async function setAside(live, command, alarms) {
  const why = refusal(live, command);
  if (why) return note(why, { bad: true });
  const shelf = command === "shelve",
    [known, problem] = shelf ? await definitions(alarms) : [new Map(), ""],
    longest = (alarm) => known.get(alarm.id)?.longest_shelf_s ?? null,
    limits = alarms.map(longest).filter((one) => one !== null),
    limit = limits.length ? Math.min(...limits) : Infinity;
  const dialog = $("#confirm"),
    reason = el("input", { name: "reason", type: "text", maxlength: "500", autocomplete: "off" }),
    owner = el("input", { name: "owner", type: "text", maxlength: "100", autocomplete: "off", value: $("meta[name=user]").content }),
    once = el("input", { name: "once", type: "checkbox" }),
    wrong = el("p", { class: "wrong", role: "alert" }),
    go = el("button", { class: "btn primary", type: "button" }),
    cancel = el("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Cancel"),
    ends = el("b", { class: "until" });
  const possible = SPANS[command].filter((one) => one <= limit);
  let seconds = possible.includes(1800) ? 1800 : (possible.at(-1) ?? Math.min(limit, SPANS[command][0]));
  const spans = SPANS[command].map((one) =>
    el(
      "button",
      {
        class: "btn small",
        type: "button",
        "data-seconds": String(one),
        "aria-disabled": String(one > limit),
        "data-why": one > limit ? `Longer than ${duration(limit)}, the longest for all of them.` : "",
        onclick: () => {
          if (one <= limit) seconds = one;
          judge();
        },
      },
      duration(one),
    ),
  );
  const until = () => {
    const at = iso(live.nowNs() + seconds * 1e9);
    return shelf && seconds < 86400 ? at.slice(11, 16) : at.slice(0, 10);
  };
  const judge = () => {
    const missing = !live.trusted
      ? "The link is lost: nothing can be sent."
      : limit === 0
        ? "One of them may not be shelved."
        : !reason.value.trim()
          ? "The reason is missing."
          : !shelf && !owner.value.trim()
            ? "The owner is missing."
            : "";
    for (const one of spans) one.setAttribute("aria-pressed", String(Number(one.dataset.seconds) === seconds));
    setText(ends, `${until()} UTC`);
    setText(go, shelf ? `Shelve ${several(alarms)} until ${until()}` : `Out of service until ${until()}: ${several(alarms)}`);
    go.disabled = Boolean(missing);
    setText(wrong, missing && reason.value ? missing : "");
    return !missing;
  };
  const rows = alarms.slice(0, MOST_LISTED).map((alarm) =>
    el(
      "tr",
      {},
      el("td", {}, sign(alarm)),
      el("td", {}, el("b", {}, alarm.title)),
      el("td", { class: "mut" }, `${alarm.text}${alarm.base === "acknowledged" ? "" : `, ${word(alarm)}`}`),
      shelf ? el("td", { class: "num" }, longest(alarm) === null ? "–" : duration(longest(alarm))) : null,
    ),
  );
  const heads = ["", "Alarm", "Now", ...(shelf ? ["Longest"] : [])];
  const told = shelf
    ? [
        ["Stops", "blinking, sound, messages, escalation"],
        ["Goes on", "it is evaluated, recorded and shown under Shelved; interlocks still trip"],
        ["After that", "an alarm still active then is announced anew"],
      ]
    : [
        ["Stops", "announcements, until it is put back into service"],
        ["Goes on", "it is evaluated, recorded and shown; interlocks still trip"],
        ["After the due date", "it is an alarm of its own, until it is in service or has another date"],
      ];
  dialog.classList.add("aside");
  dialog.replaceChildren(
    el("h2", { id: "confirm-title" }, shelf ? `Shelve ${several(alarms)}` : `Take ${several(alarms)} out of service`),
    el(
      "div",
      { class: "bd" },
      el("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "The alarms" }, el("table", { class: "t" }, el("thead", {}, el("tr", {}, ...heads.map((one) => el("th", {}, one)))), el("tbody", {}, ...rows))),
      alarms.length > MOST_LISTED ? el("p", { class: "hint" }, `and ${alarms.length - MOST_LISTED} more`) : null,
      shelf ? null : boxed("Owner, who repairs it", owner),
      boxed("Reason, required; all users see it", reason),
      el("p", { class: "lbl" }, el("span", {}, shelf ? "Until" : "Due"), el("span", { class: "sp" }), el("span", { class: "mut" }, problem || (Number.isFinite(limit) ? `longest for all: ${duration(limit)}` : ""))),
      el("div", { class: "spans", role: "group", "aria-label": "How long" }, ...spans, ends, shelf ? el("label", {}, once, " end early when it returns") : null),
      el("dl", { class: "dl" }, ...told.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
      wrong,
      el("div", { class: "acts" }, cancel, go),
    ),
  );
  return new Promise((resolve) => {
    let yes = false;
    const timer = setInterval(judge, 500);
    go.onclick = () => {
      if (!judge()) return;
      yes = true;
      dialog.close();
    };
    dialog.oninput = judge;
    dialog.onkeydown = (event) => {
      if (event.key !== "Enter" || !event.target.matches("input[type=text]")) return;
      event.preventDefault();
      go.click();
    };
    dialog.onclose = () => {
      clearInterval(timer);
      dialog.classList.remove("aside");
      const given = { reason: reason.value.trim(), seconds };
      if (shelf && once.checked) given.once = true;
      if (!shelf) given.owner = owner.value.trim();
      resolve(yes && give(command, alarms, given));
    };
    judge();
    dialog.showModal();
    reason.focus();
  });
}
