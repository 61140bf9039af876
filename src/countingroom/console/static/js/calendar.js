// A month of days. A click chooses a day, with Shift the range is extended to it; days with runs are underlined.
import { el } from "./dom.js";
import { runsIn } from "./run-spans.js";
import { startOfDay } from "./times.js";
import { fromWall, onWall } from "./zone.js";

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
    const last = onWall(to - 1),
      month = fromWall(last.getUTCFullYear(), last.getUTCMonth(), 1);
    if (this.month === month) return this.mark();
    this.turnTo(month);
    return this.draw();
  }

  // The first second of the month that is shown; null: that of the range.
  turnTo(month) {
    this.month = month;
  }

  turn(by) {
    const at = onWall(this.month);
    this.turnTo(fromWall(at.getUTCFullYear(), at.getUTCMonth() + by, 1));
    this.draw();
  }

  async draw() {
    const at = onWall(this.month),
      before = (at.getUTCDay() + 6) % 7,
      begin = (index) => startOfDay(this.month, index - before);
    const turn = (by, sign, label) =>
      el("button", { class: "btn small", type: "button", "aria-label": label, onclick: () => this.turn(by) }, sign);
    this.days = Array.from({ length: 42 }, (_, index) => {
      const day = begin(index),
        date = onWall(day);
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
      spans = await runsIn(begin(0), begin(42));
    if (month !== this.month) return;
    for (const [day, node] of days) {
      const has = spans.some(({ from, to }) => from < startOfDay(day, 1) && (to ?? this.nowS) >= day);
      node.classList.toggle("runs", has);
    }
  }

  mark() {
    const [from, to] = this.ends;
    for (const [day, node] of this.days) {
      node.setAttribute("aria-pressed", String(startOfDay(day, 1) > from && day < to));
      node.disabled = day > this.nowS;
    }
  }

  pick(day, extend) {
    const first = extend && this.first !== null ? this.first : day;
    if (!extend) this.first = day;
    const [from, last] = first < day ? [first, day] : [day, first];
    this.choose(startOfDay(from), startOfDay(last, 1));
  }
}
