// Times that people write: now, -2h, 2026-11-28, 2026-11-28 08:00. In seconds since the epoch. Without a Z they are of the
// zone that was chosen.
import { fromWall, isLocal, onWall } from "./zone.js";

const UNITS = { s: 1, min: 60, m: 60, h: 3600, d: 86400, w: 604800 };
const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?(Z)?)?$/i;
const TERM = /(\d+(?:\.\d+)?)\s*(min|[smhdw])/g;

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
  if (plain === "today") return startOfDay(nowS, 0, local);
  if (plain === "yesterday") return startOfDay(nowS, -1, local);
  const iso = ISO.exec(text.trim());
  if (iso) {
    const [year, month, day, hours, minutes, seconds] = iso.slice(1, 7).map((part) => Number(part ?? 0));
    if (hours > 23 || minutes > 59 || seconds >= 60) return null;
    // A browser takes 2026-02-31 for the third of March.
    const there = new Date(Date.UTC(year, month - 1, day));
    if (there.getUTCFullYear() !== year || there.getUTCMonth() !== month - 1 || there.getUTCDate() !== day) return null;
    return fromWall(year, month - 1, day, hours, minutes, seconds, local && !iso[7]);
  }
  const sign = /^(?:now)?\s*([+-])\s*(.+)$/.exec(plain);
  if (!sign || sign[2].replace(TERM, "").trim()) return null;
  const span = [...sign[2].matchAll(TERM)].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
  return recordable(sign[1] === "-" ? nowS - span : nowS + span);
}

// The range of times that records can have is 292 years around 1970. Others would end the script of the page.
const MOST_S = 9.15e9;
const recordable = (seconds) => (Math.abs(seconds) < MOST_S ? seconds : null);

// Numbers in the address of a page: a duration and a time in seconds, or null where they are none.
export const durationIn = (text) => (Number(text) > 0 && Number(text) < MOST_S ? Number(text) : null);
export const timeIn = (text) => (Number(text) ? recordable(Number(text)) : null);

export const written = (seconds) => onWall(seconds).toISOString().slice(0, 19).replace("T", " ");
