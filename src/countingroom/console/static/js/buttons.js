// The command buttons of a device. A button that cannot be used now stays in its place, dashed and focusable, and gives
// the reason.
import { el } from "./dom.js";
import { confirm, meanwhile } from "./confirm.js";
import { denied } from "./denied.js";
import { send } from "./commands.js";
import { note } from "./shell.js";
import { duration, unit, words } from "./format.js";

export const labelOf = (command) => command.label || words(command.name);

export class Buttons {
  // state(): the DeviceState that these commands act on.
  // effects(command): rows of what it does to each channel.
  constructor(live, place, { device, title, commands, channel = "", state, effects = () => [] }) {
    Object.assign(this, { live, place, device, title, commands, channel, state, effects });
    this.buttons = new Map(
      commands.map((command) => [
        command.name,
        el(
          "button",
          {
            class: command.dangerous ? "btn danger" : "btn",
            type: "button",
            "data-command": command.name,
            onclick: () => this.press(command),
          },
          labelOf(command) + (command.parameters.length || command.dangerous ? "…" : ""),
        ),
      ]),
    );
    place.replaceChildren(...this.buttons.values());
    this.refresh();
  }

  why(command) {
    if (!this.live.trusted) return "The link is lost: commands are disabled.";
    if (this.live.alive[this.device] === false) return "The device host of this device is gone.";
    const state = this.state();
    if (!state) return "Its state is not known yet.";
    if (!state.active && this.channel) return "This channel is monitored only.";
    const refused = denied[command.name] ?? state.refusals?.[command.name];
    return refused ? refused.message + (refused.suggestion ? `; ${refused.suggestion}` : "") : "";
  }

  refresh() {
    for (const command of this.commands) {
      const button = this.buttons.get(command.name),
        why = this.why(command);
      if ((button.dataset.why ?? "") === why && button.hasAttribute("aria-disabled")) continue;
      button.dataset.why = why;
      button.setAttribute("aria-disabled", String(Boolean(why)));
    }
  }

  async press(command) {
    if (this.why(command)) return;
    const seen = this.state().state;
    const { fields, read, check } = formOf(command.parameters);
    const sure = await confirm(this.live, {
      title: `${this.title}: ${labelOf(command)}?`,
      rows: [
        ["Now", words(seen)],
        ...(command.description ? [["Does", command.description]] : []),
        ...(command.done_in.length ? [["Until", command.done_in.map(words).join(" or ")]] : []),
        ...this.effects(command),
        ["At most", duration(command.deadline_s)],
        ["Affects", this.channel ? `channel ${this.channel} alone` : `all of ${this.title}`],
        ...meanwhile(this.live),
      ],
      button: labelOf(command),
      dangerous: command.dangerous,
      fields,
      check,
    });
    if (!sure) return;
    const answer = await send(this.live, this.device, command.name, {
      channel: this.channel,
      values: read(),
      seenState: seen,
      deadlineS: command.deadline_s,
    });
    tellOutcome(`${this.title}: ${labelOf(command)}`, answer);
  }
}

export async function tellOutcome(what, answer, place = null) {
  let said = null;
  const say = (text, bad, detail = "") => {
    if (!place) {
      said = note(text, { bad, detail, instead: said });
      return;
    }
    place.textContent = detail ? `${text}. ${detail}` : text;
    place.className = bad ? "outcome bad" : "outcome";
  };
  if (!answer.accepted) return say(`${what}: refused. ${answer.cause.message}`, true, answer.cause.suggestion);
  say(`${what}: accepted`, false, answer.direct?.message ?? "");
  const event = await answer.outcome;
  return say(
    `${what}: ${event.kind === "done" ? "done" : "failed"}`,
    event.kind !== "done",
    event.cause ? event.cause.message + (event.cause.suggestion ? ` → ${event.cause.suggestion}` : "") : news(event),
  );
}

// What the last event of a command says beyond "done".
const news = ({ action, message }) => (message === `${action} done` ? "" : message);

// A form for what a command takes: its fields, what was filled in, and why it cannot be sent yet.
export function formOf(parameters) {
  if (!parameters.length) return { fields: null, read: () => ({}), check: () => "" };
  const inputs = parameters.map((one) => [one, field(one)]);
  const one = (parameter, input) => {
    const text = input.value.trim();
    if (text === "") return undefined;
    if (parameter.choices.length) return parameter.choices[Number(text)];
    if (parameter.type === "bool") return text === "true";
    return parameter.type === "string" ? text : Number(text);
  };
  return {
    fields: el(
      "div",
      {},
      ...inputs.map(([parameter, input]) => boxed(parameter.label || words(parameter.name), input, parameter.unit)),
    ),
    read: () =>
      Object.fromEntries(
        inputs
          .map(([parameter, input]) => [parameter.name, one(parameter, input)])
          .filter(([, given]) => given !== undefined),
      ),
    check: () => {
      for (const [parameter, input] of inputs) {
        const given = one(parameter, input),
          name = parameter.label || words(parameter.name);
        if (given === undefined) {
          if (!parameter.optional) return `${name} is missing.`;
          continue;
        }
        if (["float", "int"].includes(parameter.type) && !parameter.choices.length) {
          if (!Number.isFinite(given) || (parameter.type === "int" && !Number.isInteger(given)))
            return `${name} is a number.`;
          if ((parameter.low ?? -Infinity) > given || given > (parameter.high ?? Infinity))
            return `${name} is from ${parameter.low} to ${parameter.high} ${unit(parameter.unit)}.`;
        }
      }
      return "";
    },
  };
}

function field({ choices, type, low, high, name }) {
  if (choices.length)
    return el(
      "select",
      { name },
      ...choices.map((choice, index) => el("option", { value: String(index) }, String(choice))),
    );
  if (type === "bool")
    return el("select", { name }, el("option", { value: "true" }, "on"), el("option", { value: "false" }, "off"));
  return el("input", {
    name,
    type: "text",
    inputmode: type === "string" ? "text" : "decimal",
    autocomplete: "off",
    placeholder: low == null ? "" : `${low} to ${high}`,
  });
}

export const boxed = (label, input, unitText) =>
  el(
    "label",
    { class: "boxed" },
    el("span", {}, label),
    el("div", {}, input, unitText ? el("b", {}, unit(unitText)) : null),
  );
