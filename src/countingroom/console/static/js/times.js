// Times that people write: now, -2h, 2026-11-28, 2026-11-28 08:00. In seconds since the epoch; UTC.
const UNITS = { s: 1, min: 60, m: 60, h: 3600, d: 86400, w: 604800 };
const ISO = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)Z?)?$/;
const TERM = /(\d+(?:\.\d+)?)\s*(min|[smhdw])/g;

export const DAY_S = 86400;
export const startOfDay = (seconds) => Math.floor(seconds / DAY_S) * DAY_S;

// The time in seconds, or null where the text is none.
export function parseTime(text, nowS) {
  const plain = text.trim().toLowerCase();
  if (plain === "now" || plain === "") return nowS;
  if (plain === "today") return startOfDay(nowS);
  if (plain === "yesterday") return startOfDay(nowS) - DAY_S;
  const iso = ISO.exec(text.trim().replace("z", "Z"));
  if (iso) {
    const at = Date.parse(`${iso[1]}T${iso[2] ?? "00:00"}Z`);
    return Number.isNaN(at) ? null : at / 1000;
  }
  const sign = /^(?:now)?\s*([+-])\s*(.+)$/.exec(plain);
  if (!sign || sign[2].replace(TERM, "").trim()) return null;
  const span = [...sign[2].matchAll(TERM)].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
  return sign[1] === "-" ? nowS - span : nowS + span;
}

export const written = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
