// What the page of a device knows: points, the point that sets a value, states of the device and its channels.
import { duration, value, withUnit } from "./format.js";

export class Model {
  constructor(live, { device, catalogue, states, rows, inputs = {} }) {
    this.live = live;
    this.device = device;
    this.catalogue = catalogue;
    this.title = catalogue.title || device;
    this.channels = catalogue.channels;
    this.points = new Map(catalogue.points.map((point) => [point.name, { type: "float", precision: 2, ...point }]));
    // Address of a point that others are computed from -> its unit, precision and type.
    this.inputs = new Map(Object.entries(inputs).map(([address, point]) => [address, { type: "float", precision: 2, ...point }]));
    for (const [channel, state] of Object.entries(states)) live.states.set(this.key(channel), state);
    for (const [name, row] of Object.entries(rows)) live.points.set(`${device}.${name}`, row);
  }

  key(channel) {
    return channel ? `channel.${this.device}.${channel}` : `device.${this.device}`;
  }

  state(channel) {
    return this.live.states.get(this.key(channel));
  }

  get gone() {
    return this.live.alive[this.device] === false;
  }

  // [address, present value, its quality] of what a point is computed from.
  inputsOf(point) {
    return (point.inputs ?? []).map((address) => {
      const row = this.live.points.get(address);
      return [address, withUnit(this.inputs.get(address) ?? {}, row?.[0]), row?.[1] ?? 3];
    });
  }

  // The latest reading: value, quality, device time, level.
  row(name) {
    return this.live.points.get(`${this.device}.${name}`);
  }

  commands(scope) {
    return this.catalogue.commands.filter((command) => command.scope === scope);
  }

  of(channel) {
    return [...this.points.values()].filter((point) => (point.channel ?? "") === channel);
  }

  named(point) {
    const label = point.label || point.column || point.name;
    return point.channel ? `ch ${point.channel} ${label}` : label;
  }

  whose(channel) {
    const label = this.catalogue.channel_labels[channel];
    return `Channel ${channel}${label ? ` · ${label}` : ""}`;
  }

  // The point that sets a value: itself, the point it is the readback of, or in its channel the setting of its kind and unit.
  setterOf(point) {
    if (point.command_only) return undefined;
    if (point.writable) return point;
    const settings = [...this.points.values()].filter((one) => one.writable && !one.command_only);
    const kind = (one) => `${one.channel} ${one.unit} ${one.column?.split("_")[0]}`;
    const kin = (one) => one.channel && one.unit && one.main !== false && kind(one) === kind(point);
    return settings.find((one) => one.readback === point.name) ?? settings.find(kin);
  }

  // What switching on does to each channel: [channel, "0.0 → 300.0 V, about 8 s"]; empty for other commands.
  effects({ name }, channel = "") {
    const kind = /^(?:all_)?(\w+)_on$/.exec(name)?.[1];
    if (!kind) return [];
    const whose = channel ? [channel] : this.channels.filter((one) => this.state(one)?.active);
    return whose.flatMap((one) => {
      const own = this.of(one).filter((point) => point.main !== false && point.unit && point.column?.startsWith(`${kind}_`)),
        setting = own.find((point) => point.writable),
        to = setting && this.row(setting.name)?.[0];
      if (typeof to !== "number") return [];
      const measured = own.find((point) => !point.writable && point.unit === setting.unit),
        from = measured ? this.row(measured.name)?.[0] : null,
        rate = this.rateOf(setting),
        told = `${typeof from === "number" ? `${value(measured, from)} → ` : ""}${withUnit(setting, to)}`;
      const seconds = rate && typeof from === "number" ? Math.abs(to - from) / rate.value : 0;
      return [[this.whose(one), `${told}${seconds ? `, about ${duration(seconds)}` : ""}`]];
    });
  }

  // The settings of other channels of the same kind as this one.
  siblings(point) {
    return [...this.points.values()].filter(
      (one) => point.channel && one !== point && one.writable && one.column === point.column && this.state(one.channel)?.active,
    );
  }

  // How fast the readback follows a setting, where the device reports it.
  rateOf(point) {
    const rate = this.points.get(point.rate);
    const given = rate && this.row(rate.name)?.[0];
    return typeof given === "number" && given > 0 ? { point: rate, value: given } : null;
  }
}
