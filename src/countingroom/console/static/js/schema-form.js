// Fields for the parameters of a configuration, made from its JSON Schema. They and the JSON below always say the same;
// what a field cannot hold is written in the JSON. What is wrong stands below its field.
import { el, setText } from "./dom.js";
import { boxed } from "./buttons.js";
import { misfit, resolved, typeOf } from "./schema-check.js";

const KNOWN = new Set(["number", "integer", "boolean", "string"]);
const GROUP = /^(.+)\.[^.]+$/;

export class SchemaForm {
  constructor(place, area, schema) {
    this.area = area;
    this.required = new Set(schema?.required ?? []);
    this.properties = Object.entries(schema?.properties ?? {}).map(([name, one]) => [name, resolved(one, schema)]);
    this.fields = new Map(this.properties.map(([name, one]) => [name, this.field(name, one)]));
    place.hidden = !this.properties.length;
    const groups = Map.groupBy?.(this.properties, ([name]) => GROUP.exec(name)?.[1] ?? "") ?? new Map([["", this.properties]]);
    place.replaceChildren(
      ...[...groups].flatMap(([title, members]) => {
        const boxes = members.map(([name]) => this.fields.get(name).box);
        return title ? [el("fieldset", {}, el("legend", {}, title), el("div", {}, ...boxes))] : boxes;
      }),
    );
    area.addEventListener("input", () => this.read());
    this.read();
  }

  field(name, one) {
    const id = `wrong-${name}`,
      type = typeOf(one),
      choices = one.enum ?? (one.const !== undefined ? [one.const] : type === "boolean" ? [true, false] : null);
    const shared = { name: `field-${name}`, "aria-describedby": id };
    const input = choices
      ? el("select", shared, el("option", { value: "" }, "–"), ...choices.map((choice) => el("option", { value: JSON.stringify(choice) }, String(choice))))
      : el("input", { ...shared, autocomplete: "off", inputmode: type === "string" ? "text" : "decimal", placeholder: range(one), disabled: !KNOWN.has(type) });
    input.addEventListener("input", () => this.write(name, one, input.value));
    const wrong = el("p", { class: "wrong", id, role: "alert" }),
      unusable = !choices && !KNOWN.has(type);
    const label = boxed(`${one.title ?? name}${this.required.has(name) ? "" : ", optional"}`, input, one.unit ?? "");
    const about = unusable ? "An object or a list: a parameter is a number, a text, true, false or null. Use names with dots instead." : one.description;
    const box = el("div", { class: "field-box" }, label, wrong, about ? el("p", { class: "about" }, about) : null);
    return { input, wrong, box, unusable };
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
    for (const [name, { input, unusable }] of this.fields) {
      input.disabled = given === null || unusable;
      if (given === null || input === document.activeElement) continue;
      const value = given[name];
      input.value = value === undefined ? "" : input.tagName === "SELECT" ? JSON.stringify(value) : String(value);
    }
    if (given) this.judge(given);
  }

  // From a field into the JSON. What is no number yet is kept as text, so that nothing typed is lost.
  write(name, one, text) {
    const given = this.parsed();
    if (given === null) return;
    const input = this.fields.get(name).input,
      isNumber = ["number", "integer"].includes(typeOf(one)),
      number = Number(text.trim().replace(",", "."));
    if (text === "") delete given[name];
    else if (input.tagName === "SELECT") given[name] = JSON.parse(text);
    else given[name] = isNumber && Number.isFinite(number) ? number : text;
    this.area.value = JSON.stringify(given, null, 2);
    this.judge(given);
  }

  // Write below each field what is wrong with it; returns the first of these, or "".
  judge(given) {
    let first = "";
    for (const [name, one] of this.properties) {
      const why = name in given ? misfit(name, one, given[name]) : this.required.has(name) ? `${name} is missing.` : "";
      this.mark(name, why);
      first ||= why;
    }
    return first;
  }

  mark(name, why) {
    const { input, wrong } = this.fields.get(name);
    setText(wrong, why);
    input.setAttribute("aria-invalid", String(Boolean(why)));
  }

  // Why these parameters do not fit, or "". The field gets the focus.
  wrong(given) {
    const first = this.judge(given);
    if (first) [...this.fields.values()].find(({ input }) => input.getAttribute("aria-invalid") === "true")?.input.focus();
    return first;
  }

  // What the server refused, beside its fields.
  refused(cause) {
    for (const { message, evidence } of cause?.causes ?? []) if (this.fields.has(evidence?.parameter)) this.mark(evidence.parameter, message);
  }
}

function range({ minimum, maximum, default: preset }) {
  if (preset !== undefined) return `default ${preset}`;
  if (minimum === undefined && maximum === undefined) return "";
  if (minimum === undefined) return `≤ ${maximum}`;
  return maximum === undefined ? `≥ ${minimum}` : `${minimum} to ${maximum}`;
}
