// The alarms of a page as the department published them: chosen, sorted and folded under their cause. No DOM here;
// present/alarm_views.py does the same on the server.
export const WAITING = ["unacknowledged", "returned", "latched_unacknowledged"];
const ACTIVE = ["unacknowledged", "acknowledged"];
const MOST_OPEN = 8; // members of the first cause that are shown without being asked for
const SECTIONS = [
  ["shelved", "Shelved", "still evaluated and recorded, not announced"],
  ["suppressed", "Suppressed by design", "a condition of the description holds them back"],
  ["out_of_service", "Out of service", "shown, never announced"],
];

// What the live feed leaves out where an alarm has nothing else.
const DEFAULTS = {
  ...{ area: "", advice: "", announced_ns: null, returned_ns: null, acknowledged_by: "", acknowledged_ns: null, comment: "" },
  ...{ shelf: null, suppressed: "", service: null, latching: false, unknown: false, cause_id: "", first_out: false },
  ...{ device: "", channel: "", point: "", partition: "", system: "", value: null },
};

export const shown = (alarm) => (alarm.service ? "out_of_service" : alarm.suppressed ? "suppressed" : alarm.shelf ? "shelved" : alarm.base);
export const hasFlag = (alarm) => Boolean(alarm.service || alarm.suppressed || alarm.shelf);
export const isOpen = (alarm) => alarm.base !== "normal" && !hasFlag(alarm);
export const isActive = (alarm) => ACTIVE.includes(alarm.base);
export const waits = (alarm) => isOpen(alarm) && WAITING.includes(alarm.base);
export const canAcknowledge = (alarm) => WAITING.includes(alarm.base) && !alarm.service;
export const canReset = (alarm) => alarm.base === "latched" && !alarm.service;

const before = (a, b) => a.priority - b.priority || b.since_ns - a.since_ns || (a.id < b.id ? -1 : 1);
const words = ({ id, title, text, area, suppressed, shelf, service }) =>
  [id, title, text, area, suppressed, shelf?.reason, shelf?.by, service?.reason, service?.owner].join(" ").toLowerCase();

export class AlarmModel {
  constructor() {
    this.alarms = new Map();
    this.known = null; // the folded alarms, until one changes
    this.unfolded = new Map(); // identity of a cause, or name of a section -> whether a person opened or closed it
  }

  // A change of the live feed; whether there was an alarm in it.
  take(states, whole) {
    let any = whole;
    this.known = null;
    if (whole) this.alarms.clear();
    for (const [key, state] of Object.entries(states)) {
      if (!key.startsWith("alarm.")) continue;
      any = true;
      if (state) this.alarms.set(state.id, { ...DEFAULTS, ...state });
      else this.alarms.delete(key.slice("alarm.".length));
    }
    return any;
  }

  get(id) {
    return this.alarms.get(id);
  }

  // The open alarm that this one stands under; "" where it stands for itself.
  causeOf(alarm) {
    const seen = new Set([alarm.id]);
    let found = alarm;
    for (;;) {
      const above = this.alarms.get(found.cause_id);
      if (!above || !isOpen(above)) return found === alarm ? "" : found.id;
      if (seen.has(above.id)) return ""; // they name each other: each stands for itself
      seen.add(above.id);
      found = above;
    }
  }

  // The open alarms: {roots, members of each root in order of time}. Made once for each change.
  folded() {
    this.known ??= this.fold();
    return this.known;
  }

  fold() {
    const roots = [],
      members = new Map();
    for (const alarm of this.alarms.values()) {
      if (!isOpen(alarm)) continue;
      const cause = this.causeOf(alarm);
      if (!cause) roots.push(alarm);
      else if (members.has(cause)) members.get(cause).push(alarm);
      else members.set(cause, [alarm]);
    }
    roots.sort(before);
    for (const list of members.values()) list.sort((a, b) => a.since_ns - b.since_ns || before(a, b));
    return { roots, members };
  }

  // These alarms with what follows from them and waits for a person.
  withMembers(alarms) {
    const { members } = this.folded();
    return alarms.flatMap((one) => [one, ...(members.get(one.id) ?? []).filter(waits)]);
  }

  counts() {
    const { roots, members } = this.folded();
    const flagged = [...this.alarms.values()].filter(hasFlag);
    return {
      open: roots.length,
      folded: [...members.values()].reduce((sum, list) => sum + list.length, 0),
      waiting: roots.filter(waits).length,
      flagged: flagged.length,
      priorities: [1, 2, 3, 4].map((priority) => roots.filter((one) => one.priority === priority).length),
    };
  }

  areas() {
    const found = new Set();
    for (const { area } of this.alarms.values()) {
      const parts = area ? area.split("/") : [];
      parts.forEach((_, end) => found.add(parts.slice(0, end + 1).join("/")));
    }
    return [...found].sort();
  }

  isUnfolded(name, otherwise) {
    return this.unfolded.get(name) ?? otherwise;
  }

  // The rows of the list, from top to bottom. filter: {view: open|shelved|all, priorities: Set, area, text}.
  rows(filter) {
    const text = filter.text.trim().toLowerCase();
    const fits = (alarm) =>
      filter.priorities.has(alarm.priority) &&
      (!filter.area || `${alarm.area}/`.startsWith(`${filter.area}/`)) &&
      (!text || words(alarm).includes(text));
    const rows = filter.view === "shelved" ? [] : this.openRows(fits);
    for (const [name, title, about] of SECTIONS) {
      const inside = [...this.alarms.values()].filter((one) => shown(one) === name && fits(one)).sort(before);
      if (!inside.length) continue;
      const open = this.isUnfolded(name, filter.view !== "open" || (name === "shelved" && inside.length <= MOST_OPEN));
      rows.push({ kind: "section", key: `section ${name}`, name, title, about, count: inside.length, open });
      if (open) rows.push(...inside.map((alarm) => ({ kind: "flagged", key: alarm.id, alarm })));
    }
    return rows;
  }

  openRows(fits) {
    const { roots, members } = this.folded(),
      rows = [];
    for (const alarm of roots) {
      const below = members.get(alarm.id) ?? [];
      if (!fits(alarm) && !below.some(fits)) continue;
      const open = below.length > 0 && this.isUnfolded(alarm.id, !rows.length && below.length <= MOST_OPEN);
      rows.push({ kind: "alarm", key: alarm.id, alarm, members: below.length, open });
      if (open)
        below.forEach((one, index) => rows.push({ kind: "member", key: one.id, alarm: one, cause: alarm, last: index === below.length - 1 }));
    }
    return rows;
  }
}
