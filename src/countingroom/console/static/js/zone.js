// The zone in which times are shown: UTC, or the local one in a browser that chose it. Charts, ranges and calendars follow.
// An address and a file are always UTC, so that they mean the same for every user.
const KEY = "zone";
const name = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });

function kept() {
  try {
    return localStorage.getItem(KEY) === "local";
  } catch {
    return false;
  }
}

const now = { local: kept() };

export const isLocal = () => now.local;

export function chooseZone(local) {
  now.local = local;
  try {
    localStorage.setItem(KEY, local ? "local" : "utc");
  } catch {
    /* it holds for this page */
  }
  document.dispatchEvent(new Event("zone"));
}

// A Date whose UTC fields are those of the clock on the wall at this moment.
export const onWall = (seconds, local = now.local) =>
  new Date(seconds * 1000 - (local ? new Date(seconds * 1000).getTimezoneOffset() * 60_000 : 0));

// The moment in seconds at which the wall shows this; a time that is twice on it (the end of summer time) is the first.
export const fromWall = (year, month, day, hours = 0, minutes = 0, seconds = 0, local = now.local) =>
  (local ? new Date(year, month, day, hours, minutes, 0) : new Date(Date.UTC(year, month, day, hours, minutes))).getTime() / 1000 + seconds;

export const localName = (seconds) => name.formatToParts(new Date(seconds * 1000)).find(({ type }) => type === "timeZoneName")?.value ?? "local";

export const zoneAt = (seconds) => (now.local ? localName(seconds) : "UTC");

// The zone of a range; both names where summer time begins or ends in it.
export const zoneOf = (from, to) => [...new Set([zoneAt(from), zoneAt(to)])].join(" → ");
