// Beside the list: one alarm with its value, the time left to act, guidance, trend and history.
import { $, el, setText } from "./dom.js";
import { duration, lasting, number, unit } from "./format.js";
import { Line, past } from "./series.js";
import { Trend } from "./trend.js";
import { canAcknowledge, canReset, hasFlag, isActive } from "./alarm-model.js";
import { acknowledge, comment, inService, outOfService, refusal, reset, shelve, unshelve } from "./alarm-acts.js";
import { PRIORITIES, sign, stateText, when } from "./alarm-words.js";
import { mark } from "./acts.js";

const ROWS = 600;
const SHORTEST_S = 600;
const LONGEST_S = 86_400;
const AGAIN_MS = 10_000;
const SENT_MS = 1000;
const BASES = ["unacknowledged", "acknowledged", "returned", "latched_unacknowledged", "latched"];

export class AlarmSide {
  // within(alarm): it and what follows from it.
  constructor(live, place, within) {
    Object.assign(this, { live, place, within, alarm: null, asked: null, told: null, line: null, later: null });
    this.trend = document.body.dataset.vendored === "yes" ? new Trend($("#alarm-trend"), { height: 150 }) : null;
    setInterval(() => this.again(), AGAIN_MS);
    setInterval(() => this.tick(), 1000);
  }

  // Show this alarm as it is now; guidance and history are asked for once for each occurrence and state.
  show(alarm) {
    const other = this.alarm?.id !== alarm?.id;
    this.alarm = alarm;
    this.place.classList.toggle("nothing", !alarm);
    if (!alarm) return;
    if (other) {
      this.told = null;
      this.line = null;
      $("#alarm-guidance").replaceChildren();
      $("#alarm-history").replaceChildren();
      $("#alarm-links").replaceChildren();
      $("#alarm-trend-part").hidden = true;
    }
    this.head();
    const key = JSON.stringify([alarm.id, alarm.occurrence, alarm.base, alarm.changed_ns]);
    if (this.asked === key) return;
    this.asked = key;
    this.ask();
  }

  // Messages to people were sent, or were not: the history has them.
  sent() {
    this.later ??= setTimeout(() => {
      this.later = null;
      if (this.alarm) this.ask();
    }, SENT_MS);
  }

  async ask() {
    const { id } = this.alarm;
    let told;
    try {
      const answer = await fetch(`/api/v1/alarms/${encodeURIComponent(id)}`);
      told = await answer.json();
      if (!answer.ok) told = { problem: told.cause, definition: null, history: [], point: null };
    } catch (error) {
      told = { problem: { message: error.message }, definition: null, history: [], point: null };
    }
    if (this.alarm?.id !== id) return;
    const first = !this.told;
    this.told = told;
    this.head();
    this.guidance();
    this.history();
    this.links();
    if (first || !this.line) await this.begin();
  }

  again() {
    if (!this.alarm || document.hidden) return;
    if (this.told?.problem) this.ask();
    else this.draw();
  }

  head() {
    const { alarm, live, told } = this,
      point = told?.point;
    const key = JSON.stringify([alarm, Boolean(point)]);
    if ($("#alarm-head").dataset.key !== key) {
      $("#alarm-head").dataset.key = key;
      $("#alarm-name").replaceChildren(sign(alarm), el("span", { class: "ell", title: alarm.title }, alarm.title), ...(alarm.first_out ? [el("span", { class: "first" }, "first out")] : []));
      const value = point && typeof alarm.value === "number" ? [el("b", {}, number(alarm.value, point.precision ?? 2)), ` ${unit(point.unit)}`] : [];
      $("#alarm-value").replaceChildren(...value);
      setText($("#alarm-text"), alarm.text);
      setText($("#alarm-state"), `${PRIORITIES[alarm.priority]} priority, ${stateText(alarm, live.nowNs())}, since ${when(alarm.since_ns, live.nowNs())}${alarm.comment ? `: ${alarm.comment}` : ""}`);
      $("#alarm-acts").replaceChildren(...this.buttons());
    }
    this.tick();
  }

  buttons() {
    const { alarm, live } = this,
      one = [alarm];
    const button = (command, text, click, primary = false) => el("button", { class: `btn${primary ? " primary" : ""}`, type: "button", "data-command": command, onclick: (event) => event.currentTarget.getAttribute("aria-disabled") !== "true" && click() }, text);
    const found = [button("acknowledge", "Acknowledge", () => acknowledge(this.within(alarm), one), true)];
    if (canReset(alarm)) found.push(button("reset", "Reset…", () => reset(live, one)));
    if (alarm.shelf) found.push(button("unshelve", "Unshelve", () => unshelve(one)));
    else found.push(button("shelve", "Shelve…", () => shelve(live, one)));
    found.push(button("comment", "Comment…", () => comment(live, one)));
    if (alarm.service) found.push(button("in_service", "In service…", () => inService(live, one)));
    else found.push(button("out_of_service", "Out of service…", () => outOfService(live, one)));
    // On a phone trend and history are folded away, so that the other alarms are near.
    found.push(el("button", { class: "btn more", type: "button", "aria-expanded": String(this.place.classList.contains("whole")), onclick: (event) => event.currentTarget.setAttribute("aria-expanded", String(this.place.classList.toggle("whole"))) }, "More"));
    return found;
  }

  // Buttons and the time left, which change by themselves.
  tick() {
    const { alarm, live, told } = this;
    if (!alarm) return;
    for (const button of this.place.querySelectorAll("#alarm-acts [data-command]")) {
      const { command } = button.dataset;
      mark(button, refusal(live, command) || (command === "acknowledge" && !canAcknowledge(alarm) ? `Nothing to acknowledge: it is ${stateText(alarm, live.nowNs())}.` : ""));
    }
    const within = told?.definition?.guidance.time_to_act_s,
      bar = $("#alarm-time");
    bar.hidden = !within || !isActive(alarm) || hasFlag(alarm);
    if (bar.hidden) return;
    const left = (alarm.since_ns - live.nowNs()) / 1e9 + within;
    setText($("b", bar), left > 0 ? `${lasting(left)} left of ${duration(within)}` : `${lasting(-left)} over the ${duration(within)}`);
    $("progress", bar).value = Math.max(0, Math.min(1, 1 - left / within));
  }

  guidance() {
    const { definition, problem } = this.told,
      guidance = definition?.guidance ?? {},
      steps = (guidance.do?.length ? guidance.do : (this.alarm.advice || "").split("\n")).filter((line) => line.trim());
    const rows = [
      ["Meaning", guidance.meaning && el("b", {}, guidance.meaning)],
      ["Do", steps.length > 1 ? el("ol", {}, ...steps.map((line) => el("li", {}, line.replace(/^\s*\d+[.)]\s*/, "")))) : steps[0]],
      ["If not", guidance.if_not],
      ["Contact", definition?.contact],
      ["Condition", definition?.condition],
      ["Area", this.alarm.area],
    ].filter(([, text]) => text);
    const nothing = problem
      ? [el("dt", {}, "Missing"), el("dd", { class: "problem" }, `${problem.message}${problem.suggestion ? `; ${problem.suggestion}` : ""}`)]
      : guidance.meaning || steps.length
        ? []
        : [el("dt", {}, "Missing"), el("dd", { class: "mut" }, "The description has no guidance for this alarm.")];
    $("#alarm-guidance").replaceChildren(...rows.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]), ...nothing);
  }

  history() {
    const { history = [], occurrences_30d: times } = this.told,
      now = this.live.nowNs();
    setText($("#alarm-often"), times ? `${times === 1 ? "once" : `${times} times`} in 30 days` : "");
    const rows = history.map((one) =>
      el(
        "li",
        {},
        el("time", { title: `${new Date(one.time_ns / 1e6).toISOString().slice(0, 19).replace("T", " ")} UTC` }, when(one.time_ns, now)),
        BASES.includes(one.base) && one.priority ? sign({ priority: one.priority, base: one.base }) : el("i"),
        el("span", {}, one.text),
      ),
    );
    $("#alarm-history").replaceChildren(...(rows.length ? rows : [el("li", { class: "mut" }, "Nothing is recorded yet.")]));
  }

  links() {
    const { alarm } = this,
      link = (text, href, outside = false) => el("a", { class: "btn small", href, ...(outside ? { rel: "noreferrer", target: "_blank" } : {}) }, text);
    const found = [];
    if (alarm.device) found.push(link("Device", `/devices/${encodeURIComponent(alarm.device)}${alarm.point ? `#${alarm.point}` : ""}`));
    if (alarm.partition) found.push(link("Partition", `/partitions/${encodeURIComponent(alarm.partition)}`));
    if (alarm.device && alarm.point) found.push(link("Trend", `/trends?point=${encodeURIComponent(`${alarm.device}.${alarm.point}`)}`));
    for (const { title, address } of this.told.definition?.links ?? []) if (/^(https?:\/)?\//.test(address)) found.push(link(title, address, !address.startsWith("/")));
    $("#alarm-links").replaceChildren(...found);
  }

  // The trend of its point, from well before the begin of the occurrence until now.
  async begin() {
    const { point } = this.told,
      { alarm } = this;
    const part = $("#alarm-trend-part");
    part.hidden = !this.trend || !point || !["float", "int", "bool"].includes(point.type ?? "float");
    if (part.hidden) return;
    this.line = new Line(`${alarm.device}.${alarm.point}`);
    await this.draw();
  }

  get span() {
    const now = this.live.nowNs() / 1e9,
      since = this.alarm.since_ns / 1e9;
    return [now - Math.min(LONGEST_S, Math.max(SHORTEST_S, (now - since) * 1.7)), now];
  }

  async draw() {
    const { alarm, line, told } = this;
    if (!line || !told?.point) return;
    const [from, to] = this.span,
      { label, name, unit: unitText, precision, deadband, limits, type } = told.point;
    try {
      const [series] = await past([line.name], from * 1e9, to * 1e9, ROWS);
      if (this.line !== line) return;
      line.begin(series);
      setText($("#alarm-trend-told"), `${series.resolution}, ${series.time_ns.length} rows`);
    } catch (error) {
      setText($("#alarm-trend-told"), error.message);
    }
    setText($("#alarm-trend-title"), `${label || name} ${unit(unitText)}, last ${duration(to - from)}`);
    await this.trend.show([line], { [line.name]: { label: label || name, unit: unitText, precision, deadband, limits, steps: (type ?? "float") !== "float" } });
    if (this.line !== line) return;
    this.trend.spans = [{ from: alarm.since_ns / 1e9, to: isActive(alarm) ? to : (alarm.returned_ns ?? alarm.changed_ns) / 1e9, name: "", colour: `--p${Math.min(3, alarm.priority)}bg` }];
    this.trend.draw(from, to, to);
  }
}
