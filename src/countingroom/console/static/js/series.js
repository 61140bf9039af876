// The data of one line of a chart: the past from the history, the newest part from the live feed. A gap stays a gap,
// and memory is bounded.
const MOST_TAIL = 6000;

// A whole number beyond 2^53 comes as a text, so that it is shown exactly.
export const number = (value) =>
  typeof value === "boolean" || /^-?\d{16,}$/.test(value) ? Number(value) : typeof value === "number" ? value : null;

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

const JUST_BEFORE_S = 0.001;
const NOT_RECORDED = 4;
// By number: the qualities of a reading, and of a time of which nothing was recorded.
export const QUALITIES = ["good", "uncertain", "stale", "bad", "not recorded"];

// One point's columns for drawing: seconds, mean, low, high, quality. Where there is no present value the mean is null.
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
    this.quality = [];
    this.last = null;
    this.isCut = false;
  }

  begin(series) {
    this.clear();
    this.resolution = series.resolution;
    const bucket = (series.bucket_ns ?? 0) / 1e9;
    for (let i = 0; i < series.time_ns.length; i++) {
      const seconds = series.time_ns[i] / 1e9,
        mean = series.mean[i];
      let quality = series.quality?.[i] ?? 0;
      if (quality === 3 && series.count?.[i] === 0) quality = NOT_RECORDED;
      // An unreduced sample that is stale keeps its value, which is that of before.
      if (mean === null || (!bucket && quality >= 2)) {
        this.out(seconds, quality, { held: !bucket });
        continue;
      }
      this.add(seconds, mean, series.low[i] ?? mean, series.high[i] ?? mean, quality);
      const next = series.time_ns[i + 1] / 1e9;
      if (bucket && quality >= 2 && next > seconds + 1.5 * bucket) this.out(seconds + bucket, quality);
    }
  }

  // The value is not known from here on. `held`: until then the last one was.
  out(seconds, quality, { held = false } = {}) {
    const before = this.mean.at(-1);
    if (held && before != null) this.add(seconds - JUST_BEFORE_S, before);
    this.add(seconds, null, null, null, quality);
  }

  add(seconds, mean, low = mean, high = mean, quality = 0) {
    if (this.t.length && seconds <= this.t.at(-1)) return;
    this.t.push(seconds);
    this.mean.push(mean);
    this.low.push(low);
    this.high.push(high);
    this.quality.push(quality);
    if (this.t.length <= 2 * MOST_TAIL) return;
    for (const column of [this.t, this.mean, this.low, this.high, this.quality]) column.splice(0, MOST_TAIL);
    this.isCut = true; // its past is in the history: a page that shows more than the rest asks for it again
  }

  // A row of the feed: [value, quality, device_ns, level], which came at `nowS`. A row that is stale, and one that is
  // proven again after that, has the old time of the device.
  take(row, nowS = 0) {
    const good = row[1] < 2,
      seconds = row[2] / 1e9,
      after = (this.t.at(-1) ?? -Infinity) + JUST_BEFORE_S,
      wasOut = this.mean.at(-1) === null;
    this.last = good ? number(row[0]) : null;
    if (this.last === null) {
      if (!wasOut) this.out(Math.max(seconds, nowS, after), good ? 0 : row[1], { held: true });
      return;
    }
    const at = wasOut && seconds < after ? Math.max(after, nowS) : seconds;
    this.add(at, this.last, this.last, this.last, row[1]);
  }

  // The stretches without a present value: [{from, to, quality}], the last of them until `nowS`.
  outages(nowS) {
    const found = [];
    let open = null;
    for (let i = 0; i < this.t.length; i++) {
      if (this.mean[i] !== null) {
        if (open) found.push({ ...open, to: this.t[i] });
        open = null;
      } else if (!open && this.quality[i] >= 2) open = { from: this.t[i], quality: this.quality[i] };
    }
    if (open && nowS > open.from) found.push({ ...open, to: nowS });
    return found.map(({ from, to, quality }) => ({ from, to, quality }));
  }

  // With the last value held until now: the feed sends changes only.
  columns(nowS) {
    const held = this.last !== null && this.t.length && nowS > this.t.at(-1);
    const grown = (column) => (held ? [...column, this.last] : column);
    return [held ? [...this.t, nowS] : this.t, grown(this.mean), grown(this.low), grown(this.high)];
  }
}
