// The form for a new setpoint: checked against the limits while it is typed, confirmed with old value, new value and
// duration, and sent once.
import { confirm, meanwhile } from "./confirm.js";
import { send } from "./commands.js";
import { el } from "./dom.js";
import { allowed, number, unit, value, withUnit } from "./format.js";
import { denied } from "./denied.js";
import { boxed, tellOutcome } from "./buttons.js";

// [why this text is no value for the point, or "", the value].
export function judge(point, text) {
  if (point.choices?.length) return ["", point.choices[Number(text)]];
  if (point.type === "bool") return ["", text === "true"];
  if (point.type === "string") return ["", text];
  const given = Number(text.trim().replace(",", "."));
  if (text.trim() === "" || !Number.isFinite(given)) return ["Write a number.", null];
  if (point.type === "int" && !Number.isInteger(given)) return ["Write a whole number.", null];
  if ((point.write_low ?? -Infinity) > given || given > (point.write_high ?? Infinity))
    return [`Outside ${allowed(point)}.`, null];
  return ["", given];
}

export function setpoint(live, { device, title, point, channel, now, rate, state }) {
  const input = point.choices?.length
    ? el(
        "select",
        { name: "value" },
        ...point.choices.map((choice, index) =>
          el("option", { value: String(index), selected: choice === now() }, value(point, choice)),
        ),
      )
    : point.type === "bool"
      ? el(
          "select",
          { name: "value" },
          ...[true, false].map((on) => el("option", { value: String(on), selected: now() === on }, value(point, on))),
        )
      : el("input", {
          name: "value",
          type: "text",
          inputmode: "decimal",
          autocomplete: "off",
          value: now() == null ? "" : value({ ...point, codes: {} }, now()),
        });
  const wrong = el("p", { class: "wrong", role: "alert" });
  const outcome = el("p", { class: "outcome", role: "status" });
  const button = el("button", { class: "btn primary", type: "submit" }, "Set…");
  const label = point.label || point.column || point.name;
  const cause = denied.set ?? (point.dangerous && denied.set_dangerous);
  const refused = () =>
    !live.trusted
      ? "The link is lost: commands are disabled."
      : live.alive[device] === false
        ? "The device host of this device is gone."
        : state() && state().link !== "connected"
          ? "It is not connected."
          : cause
            ? `${cause.message}; ${cause.suggestion}`
            : "";
  const refresh = () => {
    button.dataset.why = refused();
    button.setAttribute("aria-disabled", String(Boolean(refused())));
  };
  const submit = async (event) => {
    event.preventDefault();
    if (refused()) return;
    const [why, to] = judge(point, input.value);
    wrong.textContent = why;
    if (why) return;
    const from = now(),
      seen = state()?.state,
      told = withUnit(point, to);
    const sure = await confirm(live, {
      title: `${title}: change ${label}?`,
      rows: [
        ["From", withUnit(point, from)],
        ["To", told],
        ["Change", change(point, from, to, rate())],
        ["Affects", channel ? `channel ${channel} alone` : title],
        ...meanwhile(live),
      ],
      button: `Set ${told}`,
      dangerous: point.dangerous,
    });
    if (!sure) return;
    outcome.textContent = `Set ${told}: sent`;
    tellOutcome(
      `Set ${told}`,
      await send(live, device, "set", {
        channel,
        values: { point: point.name, value: to },
        seenState: seen,
        deadlineS: Math.max(10, point.confirm_s ?? 5),
      }),
      outcome,
    );
  };
  refresh();
  const form = el(
    "form",
    { onsubmit: submit },
    el("div", { class: "sel-set" }, boxed(`New ${label}`, input, point.unit), button),
    wrong,
    outcome,
  );
  return { form, refresh };
}

function change(point, from, to, rate) {
  if (typeof from !== "number" || typeof to !== "number")
    return from === to ? "none" : `${value(point, from)} → ${value(point, to)}`;
  const by = to - from,
    signed = `${by > 0 ? "+" : ""}${number(by, point.precision ?? 2)} ${unit(point.unit)}`;
  if (!rate || !by) return signed;
  const seconds = Math.abs(by) / rate.value;
  return `${signed}, about ${seconds.toFixed(seconds < 10 ? 1 : 0)} s at ${withUnit(rate.point, rate.value)}`;
}
