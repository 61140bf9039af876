// The time range of a trend: a number of seconds up to a moment or up to now. Every change can be undone.
import { $, $$, el, setText } from "./dom.js";
import { Calendar } from "./calendar.js";
import { runsIn } from "./run-spans.js";
import { DAY_S, durationIn, parseTime, startOfDay, timeIn, written } from "./times.js";
import { zoneOf } from "./zone.js";

const LAST_RUNS = 4;
const MONTH_S = 31 * DAY_S;

export class Range {
  constructor(live, query, changed) {
    this.live = live;
    this.span = durationIn(query.get("span")) ?? 3600;
    this.to = timeIn(query.get("to")); // null: up to now, and going on
    this.before = [];
    this.changed = changed;
    this.calendar = new Calendar($("#calendar"), (from, to) => this.choose(from, to));
    for (const button of $$("#presets [data-seconds]")) {
      button.addEventListener("click", () => this.set(Number(button.dataset.seconds), null));
    }
    $("#yesterday").addEventListener("click", () => {
      this.choose(startOfDay(this.now, -1), startOfDay(this.now));
    });
    $("#back").addEventListener("click", () => {
      [this.span, this.to] = this.before.pop();
      changed();
    });
    $("#follow").addEventListener("click", () => this.set(this.span, this.open ? this.now : null));
    $("#ends").addEventListener("submit", (event) => {
      event.preventDefault();
      this.read();
    });
    for (const input of $$("#ends input")) input.addEventListener("change", () => this.read());
    document.addEventListener("zone", () => {
      this.calendar.turnTo(null);
      this.show();
    });
    this.given(query);
  }

  get now() {
    return this.live.nowNs() / 1e9;
  }

  get open() {
    return this.to === null;
  }

  get ends() {
    const until = this.to ?? this.now;
    return [until - this.span, until];
  }

  // An address written by hand: from=2026-11-28&to=-2h. UTC, whatever is chosen.
  given(query) {
    if (!query.has("from")) return;
    const now = Date.now() / 1000,
      from = parseTime(query.get("from"), now, false),
      until = parseTime(query.get("to") ?? "now", now, false);
    if (from === null || until === null || from >= until) return;
    this.span = until - from;
    this.to = (query.get("to") ?? "now") === "now" ? null : until;
  }

  // What was written into the fields.
  read() {
    const { from, to } = $("#ends").elements,
      now = this.now;
    const first = parseTime(from.value, now),
      last = parseTime(to.value, now),
      open = ["", "now"].includes(to.value.trim());
    const wrong =
      first === null || last === null
        ? "Write a time as 2026-11-28 08:00, -2h or now."
        : first >= last
          ? "From must be before To."
          : "";
    setText($("#ends .wrong"), wrong);
    if (!wrong) this.set(last - first, open ? null : last);
  }

  // Up to now where the end is not past yet.
  choose(from, to) {
    this.set(Math.min(to, this.now) - from, to >= this.now ? null : to);
  }

  set(span, to) {
    this.before.push([this.span, this.to]);
    [this.span, this.to] = [span, to];
    this.changed();
  }

  show() {
    const [from, to] = this.ends;
    for (const button of $$("#presets [data-seconds]")) {
      button.setAttribute("aria-pressed", String(this.open && Number(button.dataset.seconds) === this.span));
    }
    $("#follow").setAttribute("aria-pressed", String(this.open));
    setText($("#range-zone"), zoneOf(from, to));
    $("#back").disabled = !this.before.length;
    const fields = $("#ends").elements;
    if (!$("#ends").contains(document.activeElement)) {
      fields.from.value = written(from);
      fields.to.value = this.open ? "now" : written(to);
      setText($("#ends .wrong"), "");
    }
    this.calendar.show([from, to], this.now);
  }

  // Buttons for the last runs.
  async runs() {
    const spans = await runsIn(this.now - MONTH_S, this.now);
    $("#last-runs").replaceChildren(
      ...spans
        .slice(0, LAST_RUNS)
        .map(({ from, to, name }) =>
          el("button", { class: "btn small", type: "button", onclick: () => this.choose(from, to ?? this.now) }, name),
        ),
    );
  }
}
