// The marks of a time axis in the chosen zone. uPlot's own ones are wrong by an hour in UTC around the end of summer time of
// the browser's zone: it shifts a Date by the offset of another moment.
import { DAY_S, startOfDay } from "./times.js";
import { fromWall, onWall } from "./zone.js";

const HOUR_S = 3600;
const MONTH_S = 28 * DAY_S;
const YEAR_S = 365 * DAY_S;
const two = (number) => String(number).padStart(2, "0");
const date = (at) => `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;

// The marks from min to max, s, at this distance, s: whole on the clock on the wall.
export function marks(min, max, incr) {
  const found = [],
    at = onWall(min),
    [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
  const take = (next) => {
    for (let k = 0, seconds = next(0); seconds <= max; seconds = next(++k)) if (seconds >= min && seconds !== found.at(-1)) found.push(seconds);
  };
  if (incr >= YEAR_S) take((k) => fromWall(year + k * Math.round(incr / YEAR_S), 0, 1));
  else if (incr >= MONTH_S) take((k) => fromWall(year, month + k * Math.round(incr / (30 * DAY_S)), 1));
  else if (incr >= DAY_S) take((k) => startOfDay(min, k * Math.round(incr / DAY_S)));
  else for (let day = startOfDay(min); day <= max; day = startOfDay(day, 1)) ofDay(found, day, min, max, incr);
  return found;
}

function ofDay(found, day, min, max, incr) {
  const until = Math.min(max, startOfDay(day, 1) - incr / 2),
    at = onWall(day),
    first = incr > HOUR_S ? 0 : Math.max(0, Math.ceil((min - day) / incr - 1e-9));
  for (let k = first; ; k++) {
    const hours = (k * incr) / HOUR_S,
      seconds = incr > HOUR_S ? fromWall(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), hours) : day + k * incr;
    if (seconds > until) return;
    if (seconds >= min) found.push(Number(seconds.toFixed(3)));
  }
}

// Their texts; the day stands below the first one and where another begins.
export function texts(splits, incr) {
  let before = "";
  const today = date(onWall(Date.now() / 1000));
  return splits.map((seconds, index) => {
    const at = onWall(seconds);
    if (incr >= YEAR_S) return String(at.getUTCFullYear());
    if (incr >= MONTH_S) return at.toISOString().slice(0, 7);
    if (incr >= DAY_S) return at.toISOString().slice(0, 10);
    const day = date(at),
      told = index ? day !== before : day !== today || incr >= HOUR_S;
    before = day;
    return at.toISOString().slice(11, incr >= 60 ? 16 : 19) + (told ? `\n${day}` : "");
  });
}
