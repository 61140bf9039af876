// A month of days. A click chooses a day, with Shift the range is extended to it; days with runs are underlined.
import { el } from "./dom.js";
import { runsIn } from "./run-spans.js";
import { DAY_S, startOfDay } from "./times.js";

const WEEK = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const MONTHS = "January February March April May June July August September October November December".split(" ");

export class Calendar {
  // choose(fromS, toS): called with the days that were chosen.
  constructor(place, choose) {
    Object.assign(this, { place, choose, first: null, ends: [0, 0] });
  }

  // Show the month in which the range ends, unless another one was turned to.
  show([from, to], nowS) {
    this.ends = [from, to];
    this.nowS = nowS;
    const last = new Date((to - 1) * 1000),
      month = Date.UTC(last.getUTCFullYear(), last.getUTCMonth(), 1) / 1000;
    if (this.month === month) return this.mark();
    this.month = month;
    return this.draw();
  }

  turn(by) {
    const at = new Date(this.month * 1000);
    this.month = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + by, 1) / 1000;
    this.draw();
  }

  async draw() {
    const at = new Date(this.month * 1000),
      before = (at.getUTCDay() + 6) % 7,
      begin = this.month - before * DAY_S;
    const turn = (by, sign, label) =>
      el("button", { class: "btn small", type: "button", "aria-label": label, onclick: () => this.turn(by) }, sign);
    this.days = Array.from({ length: 42 }, (_, index) => {
      const day = begin + index * DAY_S,
        date = new Date(day * 1000);
      const node = el(
        "button",
        { type: "button", class: date.getUTCMonth() === at.getUTCMonth() ? "" : "other", title: date.toISOString().slice(0, 10) },
        String(date.getUTCDate()),
      );
      node.onclick = (event) => this.pick(day, event.shiftKey);
      return [day, node];
    });
    this.place.replaceChildren(
      el("div", { class: "cal-head" }, turn(-1, "‹", "Month before"), el("b", {}, `${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`), turn(1, "›", "Month after")),
      el("div", { class: "cal" }, ...WEEK.map((name) => el("i", {}, name)), ...this.days.map(([, node]) => node)),
    );
    this.mark();
    const { days, month } = this,
      spans = await runsIn(begin, begin + 42 * DAY_S);
    if (month !== this.month) return;
    for (const [day, node] of days) {
      const has = spans.some(({ from, to }) => from < day + DAY_S && (to ?? this.nowS) >= day);
      node.classList.toggle("runs", has);
    }
  }

  mark() {
    const [from, to] = this.ends;
    for (const [day, node] of this.days) {
      node.setAttribute("aria-pressed", String(day + DAY_S > from && day < to));
      node.disabled = day > this.nowS;
    }
  }

  pick(day, extend) {
    const first = extend && this.first !== null ? this.first : day;
    if (!extend) this.first = day;
    const [from, last] = first < day ? [first, day] : [day, first];
    this.choose(startOfDay(from), last + DAY_S);
  }
}
