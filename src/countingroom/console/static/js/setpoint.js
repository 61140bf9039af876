// The form for a new setpoint: checked against the limits while it is typed, confirmed with old value, new value and
// duration, and sent once.
import { confirm, meanwhile } from "./confirm.js";
import { send } from "./commands.js";
import { el } from "./dom.js";
import { allowed, duration, number, unit, unlimited, value, withUnit } from "./format.js";
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
  if (unlimited(point)) return [`Allowed is ${allowed(point)}.`, null];
  if ((point.write_low ?? -Infinity) > given || given > (point.write_high ?? Infinity))
    return [`Outside ${allowed(point)}.`, null];
  return ["", given];
}

const former = new Map(); // `<device>.<point>` -> its value before it was set on this page

// others: the same setting of other channels, to be set together: {point, label, now(), state()}.
export function setpoint(live, { device, title, point, channel, now, rate, state, others = [] }) {
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
      told = withUnit(point, to),
      also = others.filter((_, index) => boxes[index].checked),
      outside = also.find((one) => judge(one.point, input.value)[0]);
    if (outside) {
      wrong.textContent = `${outside.label}: ${judge(outside.point, input.value)[0]}`;
      return;
    }
    const sure = await confirm(live, {
      title: `${title}: change ${label}?`,
      rows: [
        ["From", withUnit(point, from)],
        ["To", told],
        ["Change", change(point, from, to, rate())],
        ["Affects", also.length ? `${also.length + 1} channels` : channel ? `channel ${channel} alone` : title],
        ...also.map((one) => [one.label, `${withUnit(one.point, one.now())} → ${told}`]),
        ...meanwhile(live),
      ],
      button: also.length ? `Set ${also.length + 1} channels to ${told}` : `Set ${told}`,
      dangerous: point.dangerous,
    });
    if (!sure) return;
    outcome.textContent = `Set ${told}: sent`;
    former.set(name, from);
    showFormer();
    for (const one of also) {
      former.set(`${device}.${one.point.name}`, one.now());
      const values = { point: one.point.name, value: to },
        asked = { channel: one.point.channel, values, seenState: one.state()?.state, deadlineS: Math.max(10, one.point.confirm_s ?? 5) };
      send(live, device, "set", asked).then((answer) => tellOutcome(`${one.label}: set ${told}`, answer));
    }
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
  const name = `${device}.${point.name}`,
    back = el("button", { class: "btn small", type: "button", hidden: true }),
    boxes = others.map((one) => el("input", { type: "checkbox", "aria-label": one.label }));
  const showFormer = () => {
    const before = former.get(name);
    back.hidden = before === undefined || before === null;
    if (!back.hidden) back.textContent = `Set back to ${withUnit(point, before)}…`;
  };
  back.addEventListener("click", () => {
    const before = former.get(name);
    for (const box of boxes) box.checked = false; // the others had values of their own
    input.value = point.choices?.length ? String(point.choices.indexOf(before)) : point.type === "bool" ? String(before) : value({ ...point, codes: {} }, before);
    form.requestSubmit();
  });
  showFormer();
  refresh();
  const several = others.length
    ? el(
        "details",
        { class: "several" },
        el("summary", {}, "Together with other channels"),
        el("div", {}, ...others.map((one, index) => el("label", {}, boxes[index], ` ${one.label}, now ${withUnit(one.point, one.now())}`))),
      )
    : null;
  const form = el(
    "form",
    { onsubmit: submit },
    el("div", { class: "sel-set" }, boxed(`New ${label}`, input, point.unit), button),
    el("div", { class: "acts2 flush" }, back),
    several,
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
  return `${signed}, about ${duration(seconds)} at ${withUnit(rate.point, rate.value)}`;
}
