// Whether a value fits its JSON Schema, for what a field can check at once. The server checks everything when it is saved.

// A property with its reference followed: {"$ref": "#/$defs/voltage"}.
export function resolved(one, schema, depth = 0) {
  const path = /^#\/(.+)$/.exec(one?.$ref ?? "")?.[1];
  if (!path || depth > 8) return one ?? {};
  const target = path.split("/").reduce((node, key) => node?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], schema);
  const { $ref, ...own } = one;
  return { ...resolved(target, schema, depth + 1), ...own };
}

// Its type; of several the first that is not null.
export const typeOf = ({ type }) => (Array.isArray(type) ? type.find((one) => one !== "null") : type) ?? "string";

const mayBeNull = ({ type }) => Array.isArray(type) && type.includes("null");

// Why a value does not fit, or "".
export function misfit(name, one, value) {
  if (one.const !== undefined) return value === one.const ? "" : `${name} is ${one.const}.`;
  if (one.enum) return one.enum.includes(value) ? "" : `${name} is one of ${one.enum.join(", ")}.`;
  if (value === null && mayBeNull(one)) return "";
  if (one.type === undefined) return "";
  const type = typeOf(one);
  if (type === "boolean") return typeof value === "boolean" ? "" : `${name} is true or false.`;
  if (type === "string") return typeof value === "string" ? text(name, one, value) : `${name} is a text.`;
  return type === "number" || type === "integer" ? number(name, one, type, value) : "";
}

function text(name, { minLength = 0, maxLength = Infinity, pattern }, value) {
  if (value.length < minLength) return `${name} has at least ${minLength} characters.`;
  if (value.length > maxLength) return `${name} has at most ${maxLength} characters.`;
  try {
    return !pattern || new RegExp(pattern, "u").test(value) ? "" : `${name} does not match ${pattern}.`;
  } catch {
    return ""; // a pattern of another dialect: the server judges
  }
}

function number(name, one, type, value) {
  if (typeof value !== "number" || (type === "integer" && !Number.isInteger(value))) return `${name} is a ${type === "integer" ? "whole " : ""}number.`;
  if (value < (one.minimum ?? -Infinity)) return `${name} is at least ${one.minimum}.`;
  if (value > (one.maximum ?? Infinity)) return `${name} is at most ${one.maximum}.`;
  if (value <= (one.exclusiveMinimum ?? -Infinity)) return `${name} is more than ${one.exclusiveMinimum}.`;
  if (value >= (one.exclusiveMaximum ?? Infinity)) return `${name} is less than ${one.exclusiveMaximum}.`;
  const parts = value / (one.multipleOf ?? NaN);
  return Number.isNaN(parts) || Math.abs(parts - Math.round(parts)) < 1e-9 ? "" : `${name} is a multiple of ${one.multipleOf}.`;
}
