// Fields for the parameters of a configuration, made from its JSON Schema. They and the JSON below always say the same;
// what a field cannot hold is written in the JSON.
import { el } from "./dom.js";
import { boxed } from "./buttons.js";

const KNOWN = new Set(["number", "integer", "boolean", "string"]);

// Why a value does not fit its schema, or "".
export function misfit(name, { type, enum: choices, minimum, maximum }, value) {
  if (choices) return choices.includes(value) ? "" : `${name} is one of ${choices.join(", ")}.`;
  if (type === "boolean") return typeof value === "boolean" ? "" : `${name} is true or false.`;
  if (type === "string") return typeof value === "string" ? "" : `${name} is a text.`;
  if (type !== "number" && type !== "integer") return "";
  if (typeof value !== "number" || (type === "integer" && !Number.isInteger(value)))
    return `${name} is a ${type === "integer" ? "whole " : ""}number.`;
  if (value < (minimum ?? -Infinity)) return `${name} is at least ${minimum}.`;
  return value > (maximum ?? Infinity) ? `${name} is at most ${maximum}.` : "";
}

export class SchemaForm {
  constructor(place, area, schema) {
    Object.assign(this, { area, schema });
    const properties = Object.entries(schema?.properties ?? {}).filter(([, one]) => one.enum || KNOWN.has(one.type));
    this.inputs = new Map(properties.map(([name, one]) => [name, this.field(name, one)]));
    place.hidden = !properties.length;
    const required = new Set(schema?.required ?? []);
    place.replaceChildren(
      ...properties.map(([name, one]) => {
        const box = boxed(`${one.title ?? name}${required.has(name) ? "" : ", optional"}`, this.inputs.get(name), one.unit ?? "");
        if (one.description) box.title = one.description;
        return box;
      }),
    );
    area.addEventListener("input", () => this.read());
    this.read();
  }

  field(name, one) {
    const options = one.enum ?? (one.type === "boolean" ? [true, false] : null);
    const input = options
      ? el("select", { name: `field-${name}` }, el("option", { value: "" }, "–"), ...options.map((choice) => el("option", { value: JSON.stringify(choice) }, String(choice))))
      : el("input", { name: `field-${name}`, autocomplete: "off", inputmode: one.type === "string" ? "text" : "decimal", placeholder: range(one) });
    input.addEventListener("input", () => this.write(name, one, input.value));
    return input;
  }

  parsed() {
    try {
      const given = JSON.parse(this.area.value);
      return given && typeof given === "object" && !Array.isArray(given) ? given : null;
    } catch {
      return null;
    }
  }

  // From the JSON into the fields.
  read() {
    const given = this.parsed();
    for (const [name, input] of this.inputs) {
      input.disabled = given === null;
      if (given === null || input === document.activeElement) continue;
      const value = given[name];
      input.value = value === undefined ? "" : input.tagName === "SELECT" ? JSON.stringify(value) : String(value);
    }
  }

  // From a field into the JSON. What is no number yet is kept as text, so that nothing typed is lost.
  write(name, one, text) {
    const given = this.parsed();
    if (given === null) return;
    const isNumber = !one.enum && ["number", "integer"].includes(one.type),
      number = Number(text.trim().replace(",", "."));
    if (text === "") delete given[name];
    else if (one.enum || one.type === "boolean") given[name] = JSON.parse(text);
    else given[name] = isNumber && Number.isFinite(number) ? number : text;
    this.area.value = JSON.stringify(given, null, 2);
  }

  // Why these parameters do not fit, or "".
  wrong(given) {
    for (const name of this.schema?.required ?? []) if (!(name in given)) return `${name} is missing.`;
    for (const [name, one] of Object.entries(this.schema?.properties ?? {})) {
      const why = name in given ? misfit(name, one, given[name]) : "";
      if (why) return why;
    }
    return "";
  }
}

function range({ minimum, maximum }) {
  if (minimum === undefined && maximum === undefined) return "";
  if (minimum === undefined) return `≤ ${maximum}`;
  return maximum === undefined ? `≥ ${minimum}` : `${minimum} to ${maximum}`;
}
