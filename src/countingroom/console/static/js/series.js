// The data of one line of a chart: the past from the history, the newest part from the live feed. A gap stays a gap,
// and memory is bounded.
const MOST_TAIL = 6000;

export const number = (value) =>
  typeof value === "boolean" ? Number(value) : typeof value === "number" ? value : null;

export async function past(points, fromNs, toNs, maxPoints) {
  const asked = new URLSearchParams(points.map((point) => ["point", point]));
  asked.set("from", String(Math.round(fromNs)));
  asked.set("to", String(Math.round(toNs)));
  asked.set("max_points", String(maxPoints));
  const answer = await fetch(`/api/v1/history?${asked}`);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.cause?.message ?? "the history did not answer");
  return told.series ?? [told];
}

// One point's columns for drawing: seconds, mean, low, high.
export class Line {
  constructor(name) {
    this.name = name;
    this.clear();
  }

  clear() {
    this.resolution = "";
    this.t = [];
    this.mean = [];
    this.low = [];
    this.high = [];
    this.last = null;
  }

  begin(series) {
    this.clear();
    this.resolution = series.resolution;
    for (let i = 0; i < series.time_ns.length; i++) {
      this.add(
        series.time_ns[i] / 1e9,
        series.mean[i],
        series.low[i] ?? series.mean[i],
        series.high[i] ?? series.mean[i],
      );
    }
  }

  add(seconds, mean, low = mean, high = mean) {
    if (this.t.length && seconds <= this.t.at(-1)) return;
    this.t.push(seconds);
    this.mean.push(mean);
    this.low.push(low);
    this.high.push(high);
    if (this.t.length > 2 * MOST_TAIL)
      for (const column of [this.t, this.mean, this.low, this.high]) column.splice(0, MOST_TAIL);
  }

  // A row of the feed: [value, quality, device_ns, level].
  take(row) {
    const good = row[1] < 2;
    this.last = good ? number(row[0]) : null;
    this.add(row[2] / 1e9, this.last);
    if (!good && this.mean.at(-1) !== null) this.add(this.t.at(-1) + 0.001, null);
  }

  // With the last value held until now: the feed sends changes only.
  columns(nowS) {
    const held = this.last !== null && this.t.length && nowS > this.t.at(-1);
    const grown = (column) => (held ? [...column, this.last] : column);
    return [held ? [...this.t, nowS] : this.t, grown(this.mean), grown(this.low), grown(this.high)];
  }
}
