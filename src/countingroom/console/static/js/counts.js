// Events of a run: the count of the system that counted most, and the rate between two of its reports.
import { NOTHING } from "./format.js";
import { grouped, hertz } from "./run-parts.js";

const RATE_S = 0.9; // over less, how reports arrive would be measured

export class Counts {
  constructor() {
    this.before = null;
    this.events = this.rate = NOTHING;
  }

  // run: its number, 0 for none; reports: those of the systems of the partition.
  // A system that is not in this run yet still has the count of the run before.
  take(run, reports, nowNs) {
    const here = reports.filter((report) => report?.run === run);
    const count = Math.max(-1, ...here.map((report) => report.counters?.events ?? -1));
    if (!run || count < 0) {
      this.before = null;
      this.events = this.rate = NOTHING;
      return;
    }
    this.events = grouped(count);
    const { before } = this,
      same = before?.run === run && count >= before.count,
      passed = same ? (nowNs - before.at) / 1e9 : 0;
    if (!same) this.rate = NOTHING;
    else if (passed < RATE_S || count === before.count) return;
    else this.rate = hertz((count - before.count) / passed);
    this.before = { run, count, at: nowNs };
  }
}
