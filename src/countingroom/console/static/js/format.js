// How values, units and times are written, never as NaN. present/format.py and core/numbers.py do the same on the server.
export const NOTHING = "–";
const PARTS = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];
const UNITS = { uA: "µA", uV: "µV", uW: "µW", us: "µs", um: "µm", degC: "°C", percent: "%", delta_degC: "K" };

export const unit = (text) => UNITS[text] ?? text ?? "";

export function value(point, given) {
  if (given === null || given === undefined || Number.isNaN(given)) return NOTHING;
  const meaning = point.codes?.[String(given)];
  if (meaning) return meaning;
  if (typeof given === "boolean") return given ? "on" : "off";
  if (typeof given === "string") return given;
  if (point.type === "int") return String(given);
  return number(given, point.precision ?? 2);
}

export function number(given, precision) {
  if (!Number.isFinite(given)) return NOTHING;
  if (Math.abs(given) >= 1e7) return given.toExponential(3);
  const text = given.toFixed(precision);
  if (Number(text) !== 0) return text;
  return given === 0 ? text.replace("-", "") : given.toExponential(2);
}

// A limit, never rounded to another one: 0.005 was shown as 0.01.
function limit(point, given) {
  if (typeof given !== "number" || point.type === "int" || point.codes?.[String(given)]) return value(point, given);
  let digits = point.precision ?? 2,
    text = number(given, digits);
  while (!text.includes("e") && Math.abs(Number(text) - given) > Math.abs(given) * 1e-6 && digits < 15) text = given.toFixed(++digits);
  return text;
}

export const withUnit = (point, given) =>
  given === null || given === undefined ? NOTHING : `${value(point, given)}${point.unit ? " " + unit(point.unit) : ""}`;

export function range(point, low, high) {
  if (low === null || low === undefined) return `≤ ${limit(point, high)}`;
  if (high === null || high === undefined) return `≥ ${limit(point, low)}`;
  return `${limit(point, low)} to ${limit(point, high)}`;
}

export function allowed(point) {
  if (point.choices?.length) return point.choices.map((choice) => value(point, choice)).join(", ");
  if (unlimited(point)) return `nothing until the ${point.limited_by} has given its limits`;
  if (point.write_low == null && point.write_high == null) return "";
  return range(point, point.write_low, point.write_high) + (point.unit ? " " + unit(point.unit) : "") + limited(point);
}

// Whether the device itself must give limits first.
export const unlimited = (point) => Boolean(point.limited_by) && (point.write_low == null || point.write_high == null);

// Which limit the device itself has given: ` (upper limit of the IOC)`.
function limited(point) {
  const low = point.write_low_source,
    high = point.write_high_source;
  if (low && high) return ` (limits of the ${high})`;
  return low || high ? ` (${low ? "lower" : "upper"} limit of the ${low || high})` : "";
}

function beyond(point, low, high) {
  if (low === null) return `above ${limit(point, high)}`;
  if (high === null) return `below ${limit(point, low)}`;
  return `outside ${limit(point, low)} to ${limit(point, high)}`;
}

export function limits(point) {
  const told = point.limits ?? {};
  const parts = [];
  for (const word of ["warning", "alarm"]) {
    const low = told[`${word}_low`] ?? null,
      high = told[`${word}_high`] ?? null;
    if (low !== null || high !== null) parts.push(`${word} ${beyond(point, low, high)}`);
  }
  return parts.join(" · ");
}

export const clock = (ns) => new Date(ns / 1e6).toISOString().slice(11, 19);
export const moment = (ns) => new Date(ns / 1e6).toISOString().slice(0, 19).replace("T", " ");
export const iso = (ns) => new Date(ns / 1e6).toISOString();
export const words = (state) => (state ?? "unknown").replaceAll("_", " ");

// How long: 0.25 s, 45 s, 5 min, 1 h 30 min, 2 d 4 h. At most the two largest units, as `duration` of core/times.py writes it.
export function duration(given) {
  const shown = Number(Math.max(0, Math.round(given * 1000) / 1000).toPrecision(3));
  if (shown < 60) return `${shown} s`;
  const whole = Math.round(given),
    at = PARTS.findIndex(([, size]) => whole >= size),
    [[name, size], [below, smaller]] = PARTS.slice(at, at + 2),
    rest = Math.floor((whole % size) / smaller);
  return `${Math.floor(whole / size)} ${name}${rest ? ` ${rest} ${below}` : ""}`;
}

// A length that goes on, to the whole second.
export const lasting = (given) => duration(Math.round(given));

// How long after the first: +0.4 s, +2 min 5 s.
export function after(ns) {
  const seconds = Math.max(0, ns / 1e9);
  return `+${seconds < 10 ? `${seconds.toFixed(1)} s` : lasting(seconds)}`;
}

export function age(seconds) {
  if (seconds < 100) return Math.max(0, seconds).toFixed(1);
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86400).toFixed(0)} d`;
}

export function disc(state) {
  if (!state) return "unknown";
  if (state.link !== "connected") return "no_link";
  return ["off", "on", "moving", "error", "no_link"].includes(state.common) ? state.common : "ready";
}
