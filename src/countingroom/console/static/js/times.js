// Times that people write: now, -2h, yesterday 06:00, 2026-11-28 08:00, 20261128, a number since the epoch. As core/times.py reads
// them, in seconds since the epoch. Without a Z or an offset they are of the zone that was chosen.
import { fromWall, isLocal, onWall } from "./zone.js";

const UNITS = { ms: 0.001, s: 1, min: 60, m: 60, h: 3600, d: 86400, w: 604800, y: 31557600 };
const ISO = new RegExp(
  "^(\\d{4}-\\d{2}-\\d{2}|\\d{8})" +
    "(?:[ T](\\d{2}:\\d{2}(?::\\d{2}(?:[.,]\\d+)?)?|\\d{4}(?:\\d{2}(?:[.,]\\d+)?)?)(Z|[+-]\\d{2}(?::?\\d{2})?)?)?$",
  "i",
);
const TERM = /(\d+(?:\.\d+)?)\s*(min|ms|[smhdwy])/g;
const DAY = /^(today|yesterday|tomorrow)(?:[t ]+(\d\d:\d\d.*))?$/;
const DAYS = { yesterday: -1, today: 0, tomorrow: 1 };
const EPOCH = /^\d{9,10}(?:\.\d{1,9})?$|^\d{12,13}$|^\d{15,16}$|^\d{18,19}$/;

export const DAY_S = 86400;
// The first second of the day `by` days after the one of this moment. A day has 23 or 25 hours where summer time begins or ends.
export function startOfDay(seconds, by = 0, local = isLocal()) {
  const at = onWall(seconds, local);
  return fromWall(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() + by, 0, 0, 0, local);
}

// The time in seconds, or null where the text is none.
export function parseTime(text, nowS, local = isLocal()) {
  const plain = text.trim().toLowerCase();
  if (plain === "now" || plain === "") return nowS;
  if (EPOCH.test(plain)) return recordable(sinceEpoch(plain));
  const day = DAY.exec(plain);
  if (day) {
    const start = startOfDay(nowS, DAYS[day[1]], local);
    return day[2] ? isoTime(`${onWall(start, local).toISOString().slice(0, 10)}T${day[2]}`, local) : start;
  }
  if (ISO.test(plain)) return isoTime(plain, local);
  const sign = /^(?:now)?\s*([+-])\s*(.+)$/.exec(plain);
  if (!sign || sign[2].replace(TERM, "").trim()) return null;
  const span = [...sign[2].matchAll(TERM)].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
  return recordable(sign[1] === "-" ? nowS - span : nowS + span);
}

// The size of the number tells its unit: s, ms, us or ns.
function sinceEpoch(plain) {
  const digits = plain.split(".")[0].length;
  return Number(plain) / (digits < 12 ? 1 : digits < 15 ? 1e3 : digits < 18 ? 1e6 : 1e9);
}

function isoTime(text, local) {
  const iso = ISO.exec(text);
  if (!iso) return null;
  const [date, clock] = [iso[1].replaceAll("-", ""), (iso[2] ?? "").replaceAll(":", "").replace(",", ".")];
  const [year, month, day] = [date.slice(0, 4), date.slice(4, 6), date.slice(6)].map(Number);
  const [hours, minutes, seconds] = [clock.slice(0, 2), clock.slice(2, 4), clock.slice(4)].map(Number);
  if (hours > 23 || minutes > 59 || seconds >= 60) return null;
  // A browser takes 2026-02-31 for the third of March.
  const there = new Date(Date.UTC(year, month - 1, day));
  if (there.getUTCFullYear() !== year || there.getUTCMonth() !== month - 1 || there.getUTCDate() !== day) return null;
  const offset = offsetOf(iso[3] ?? "");
  if (offset === null) return null;
  return recordable(fromWall(year, month - 1, day, hours, minutes, seconds, local && !iso[3]) - offset);
}

// +01:00, -0530 or Z in seconds.
function offsetOf(zone) {
  const [hours, minutes] = [zone.slice(1, 3), zone.slice(3).replace(":", "")].map(Number);
  if (hours > 23 || minutes > 59) return null;
  return (zone[0] === "-" ? -1 : 1) * (hours * 3600 + minutes * 60);
}

// The range of times that records can have is 292 years around 1970. Others would end the script of the page.
const MOST_S = 9.15e9;
const recordable = (seconds) => (Math.abs(seconds) < MOST_S ? seconds : null);

// Numbers in the address of a page: a duration and a time in seconds, or null where they are none.
export const durationIn = (text) => (Number(text) > 0 && Number(text) < MOST_S ? Number(text) : null);
export const timeIn = (text) => (Number(text) ? recordable(Number(text)) : null);

export const written = (seconds) => onWall(seconds).toISOString().slice(0, 19).replace("T", " ");
