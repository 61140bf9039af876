// The panel of the selected value: limits, setpoint, and the commands of its channel.
import { $, breakable, el, setText } from "./dom.js";
import { allowed, limits, unit, withUnit, words } from "./format.js";
import { Buttons } from "./buttons.js";
import { LEVELS, glyph } from "./parts.js";
import { setpoint } from "./setpoint.js";

const QUALITIES = ["good", "uncertain", "stale", "bad"];

export class Panel {
  constructor(live, model) {
    this.live = live;
    this.model = model;
    this.point = null;
  }

  show(point, channel) {
    const { model } = this;
    Object.assign(this, { point, channel, settable: model.setterOf(point) });
    this.facts = el("dl", { class: "dl" });
    this.form = this.settable ? this.setting(this.settable) : null;
    const acts = channel ? el("div", { class: "acts2", role: "group", "aria-label": "Commands of the channel" }) : null;
    this.buttons = channel ? this.channelButtons(acts) : null;
    setText($("#sel-title"), channel ? model.whose(channel) : model.named(point));
    $("#sel").replaceChildren(...[this.facts, this.form?.form, acts, this.others()].filter(Boolean));
    this.refresh();
  }

  setting(point) {
    const { model } = this;
    const channel = point.channel ?? "";
    return setpoint(this.live, {
      device: model.device,
      title: channel ? `${model.title} channel ${channel}` : model.title,
      point,
      channel,
      now: () => model.row(point.name)?.[0] ?? null,
      rate: () => model.rateOf(point),
      others: model.siblings(point).map((one) => ({ point: one, label: model.whose(one.channel), now: () => model.row(one.name)?.[0] ?? null, state: () => model.state(one.channel) })),
      state: () => model.state(channel),
    });
  }

  channelButtons(place) {
    const { model, channel } = this;
    return new Buttons(this.live, place, {
      device: model.device,
      title: `${model.title} channel ${channel}`,
      commands: model.commands("channel"),
      channel,
      state: () => model.state(channel),
      effects: (command) => model.effects(command, channel),
    });
  }

  // The other settings of the channel, as links.
  others() {
    const settings = this.channel
      ? this.model.of(this.channel).filter((one) => one.writable && !one.command_only && one.main !== false)
      : [];
    const links = settings
      .filter((one) => one !== this.settable)
      .flatMap((one) => [", ", el("a", { href: `#${one.name}` }, one.label || one.column)]);
    return links.length ? el("p", { class: "hint" }, "Settable here: ", ...links.slice(1)) : null;
  }

  refresh() {
    if (!this.point) return;
    this.buttons?.refresh();
    this.form?.refresh();
    const told = this.told();
    const key = JSON.stringify(told);
    if (this.facts.dataset.key !== key) {
      this.facts.dataset.key = key;
      const named = ([term, , href]) => el("dt", {}, href ? el("a", { href }, ...breakable(term)) : term);
      this.facts.replaceChildren(...told.flatMap((one) => [named(one), el("dd", {}, ...(one[0] === "Computed" ? breakable(one[1]) : [one[1]]))]));
    }
    const level = String(this.model.row(this.point.name)?.[3] ?? 0);
    const sign = $("#sel-alarm");
    if (sign.dataset.level === level) return;
    sign.dataset.level = level;
    sign.replaceChildren(...(level === "0" ? [] : [glyph(level), ` ${LEVELS[level]}`]));
  }

  // Terms and their present values.
  told() {
    const { model, point, channel, settable } = this;
    const now = model.row(point.name);
    const state = model.state(channel);
    const told = [["Value", withUnit(point, now?.[0])]];
    if (now?.[1]) told.push(["Quality", QUALITIES[now[1]]]);
    if (now?.[4]) told.push(["Reason", now[4]]);
    if (channel) told.push(["State", words(state?.state)]);
    if (point.description) told.push(["Meaning", point.description]);
    if (point.formula) told.push(["Computed", point.formula]);
    for (const [address, text, quality] of model.inputsOf(point)) {
      const [device, name] = [address.split(".", 1)[0], address.slice(address.indexOf(".") + 1)];
      told.push([address, quality ? `${text}, ${QUALITIES[quality]}` : text, `/devices/${device}#${name}`]);
    }
    if (limits(point)) told.push(["Limits", [limits(point), unit(point.unit)].filter(Boolean).join(" ")]);
    if (settable && settable !== point) told.push(["Setpoint", withUnit(settable, model.row(settable.name)?.[0])]);
    if (settable && allowed(settable)) told.push(["Allowed", allowed(settable)]);
    if (channel && state?.cause) told.push(["Cause", state.cause.message]);
    return told;
  }
}
