// Law: a row a system: as it is seen and as it says itself; where these differ the row is tinted and says how old.
import { $, $$, el, setClass, setText } from "./dom.js";
import { age } from "./format.js";
import { LOST, discOf, dot } from "./run-parts.js";

export class Systems {
  // act(command, values): what a row's button asks for.
  constructor(live, model, act) {
    Object.assign(this, { live, model, act });
    this.table = $("#systems");
    this.keys = new Map();
  }

  refresh() {
    const { members } = this.model.state,
      shown = new Map($$("[data-system]", this.table).map((tr) => [tr.dataset.system, tr]));
    if (shown.size !== members.length || members.some((one) => !shown.has(one.system))) location.reload();
    const included = members.filter((one) => one.included).length;
    setText($("#included"), `${included} included, ${members.length - included} excluded`);
    for (const member of members) this.row(shown.get(member.system), member);
  }

  row(tr, member) {
    const { model } = this,
      report = model.report(member),
      why = ["include", "exclude", "reset"].map((one) => model.why(one)).join("|");
    const key = JSON.stringify([member, report?.common, report?.state, why]);
    if (this.keys.get(member.system) === key) return;
    this.keys.set(member.system, key);
    const level = model.level(member),
      differs = model.differs(member);
    setClass(tr, [member.included ? "" : "ex", level ? `f${level}` : ""].join(" ").trim());
    const [seen, own, , tag, comment, acts] = tr.querySelectorAll("td");
    const stale = el("span", { class: "badge" }, "stale");
    seen.replaceChildren(...(member.included ? [dot(discOf(member.seen), member.seen), ...(differs ? [stale] : [])] : ["excluded"]));
    own.replaceChildren(dot(member.own === LOST ? "no_link" : discOf(report?.common ?? member.seen), member.own));
    const wrong = level === 3;
    tag.replaceChildren(wrong ? `◆ ${member.tag || "none"}` : member.tag || "–");
    tag.title = member.wanted_tag ? `selected: ${member.wanted_tag}` : "";
    setText(comment, [...new Set([member.cause?.message, member.comment])].filter(Boolean).join("; "));
    acts.replaceChildren(...this.buttons(member));
  }

  buttons(member) {
    const found = [];
    const inError = this.model.report(member)?.common === "Error" || member.seen === "Error";
    if (inError) found.push(this.button("reset", "Reset", member), " ");
    found.push(member.included ? this.button("exclude", "Exclude", member) : this.button("include", "Include", member));
    return found;
  }

  button(command, label, member) {
    const why = this.model.why(command);
    const about = { class: "btn", type: "button", "data-why": why, "aria-disabled": String(Boolean(why)) };
    const press = () => {
      if (!this.model.why(command)) this.act(command, { system: member.system });
    };
    return el("button", { ...about, "aria-label": `${label} ${member.system}`, onclick: press }, label);
  }

  ages(nowNs) {
    for (const member of this.model.state?.members ?? []) {
      const tr = $(`[data-system="${CSS.escape(member.system)}"]`, this.table);
      const since = this.model.report(member)?.since_ns || member.reported_ns;
      const text = since ? age((nowNs - since) / 1e9) : "–";
      setText(tr?.querySelectorAll("td")[2], /\d$/.test(text) ? `${text} s` : text);
    }
  }
}
