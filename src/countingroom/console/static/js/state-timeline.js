// The states of a device and its channels over the last hours, as spans with words: from the events, up to the present.
import { $, $$, el, setText, svg } from "./dom.js";
import { lasting, moment, words } from "./format.js";
import { durationIn } from "./times.js";
import { marks, texts } from "./time-axis.js";

const LIMIT = 1000;
const PAGES = 5;
const ROWS = 16;
const LISTED = 200;
const HEIGHT = 18;
const LETTER_PX = 6.6;
const MARK_PX = 90;
const NAME_PX = 80; // the names at the left, and the margins of the card
const SHADES = 3;
const AGAIN_MS = 1000;
const REDRAW_MS = 10_000;
const STEPS = [300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800];
const SPANS_S = [3600, 21600, 86400, 604800];
const s = (ns) => ns / 1e9;

// Spans of one object, oldest first: [{from, to, state}] in seconds. events: its changes [{at, before, after}], oldest first;
// known: since when all of them are known; present: {state, since} now.
export function stateSpans(events, from, to, known, present) {
  const found = [];
  let at = Math.max(from, known),
    state = events.length ? events[0].before : present && present.since <= at ? present.state : "";
  const add = (until) => {
    if (state && until > at) found.push({ from: at, to: until, state });
  };
  for (const change of events) {
    add(change.at);
    at = Math.max(at, change.at);
    state = change.after;
  }
  if (!events.length && present && present.since > at) {
    // Its change is in no event that was found: what was before is not known.
    at = present.since;
    state = present.state;
  }
  add(to);
  return found;
}

export class StateTimeline {
  constructor(live, model) {
    Object.assign(this, { live, model, states: [], links: [], known: 0, turn: 0 });
    this.place = $("#states");
    const asked = durationIn(new URLSearchParams(location.search).get("states"));
    this.span = SPANS_S.includes(asked) ? asked : SPANS_S[0];
    for (const button of $$("#states-span [data-seconds]")) button.addEventListener("click", () => this.choose(Number(button.dataset.seconds)));
    live.on("event", (event) => {
      if (event.source === model.device && ["state", "link"].includes(event.kind)) this.soon();
    });
    live.on("change", ({ snapshot }) => snapshot && this.soon());
    new ResizeObserver(() => this.draw()).observe(this.place);
    document.addEventListener("zone", () => this.draw());
    setInterval(() => !document.hidden && this.draw(), REDRAW_MS);
    this.load();
  }

  choose(seconds) {
    this.span = seconds;
    const query = new URLSearchParams(location.search);
    query.set("states", String(seconds));
    history.replaceState(null, "", `?${query}${location.hash}`);
    this.load();
  }

  // Many events at once are one question.
  soon() {
    this.due ??= setTimeout(() => {
      this.due = null;
      this.load();
    }, AGAIN_MS);
  }

  async load() {
    const mine = ++this.turn;
    for (const button of $$("#states-span [data-seconds]")) button.setAttribute("aria-pressed", String(Number(button.dataset.seconds) === this.span));
    const from = s(this.live.nowNs()) - this.span;
    try {
      const [states, links, existed] = await Promise.all([this.events("state", from), this.events("link", from), this.existedAt(from)]);
      if (mine !== this.turn) return;
      // Before its first event there was no device: the state that this event left is not drawn back to the begin.
      const found = [...states.found, ...links.found].map((event) => s(event.time_ns)),
        first = existed || !found.length ? from : Math.min(...found);
      Object.assign(this, { states: states.found, links: links.found, known: Math.max(states.known, first), failed: "" });
    } catch {
      if (mine !== this.turn) return;
      this.failed = "The events could not be read.";
    }
    this.draw();
  }

  // Events of this kind since a time, oldest first, and since when they are complete.
  async events(kind, from) {
    const found = [];
    let before = null;
    for (let page = 0; page < PAGES; page++) {
      const asked = new URLSearchParams({ source: this.model.device, kind, from: String(Math.round(from * 1e9)), limit: String(LIMIT) });
      if (before) asked.set("before", String(before));
      const answer = await fetch(`/api/v1/events?${asked}`);
      if (!answer.ok) throw new Error("refused");
      const told = await answer.json();
      found.push(...told.events);
      before = told.next_before;
      if (!before || (found.length && s(found.at(-1).time_ns) < from)) break;
    }
    return { found: found.reverse(), known: before && found.length ? s(found[0].time_ns) : from };
  }

  async existedAt(from) {
    const asked = new URLSearchParams({ source: this.model.device, to: String(Math.round(from * 1e9)), limit: "1" });
    const answer = await fetch(`/api/v1/events?${asked}`);
    if (!answer.ok) throw new Error("refused");
    return (await answer.json()).events.length > 0;
  }

  rows(from, to) {
    const { model } = this,
      spansOf = (channel) => {
        const events = this.states.filter((event) => event.channel === channel).map((event) => ({ at: s(event.time_ns), before: event.before, after: event.after })),
          now = model.state(channel);
        return { changes: events.length, spans: stateSpans(events.filter(({ at }) => at <= to), from, to, this.known, now && { state: now.state, since: s(now.since_ns) }) };
      };
    const channels = model.channels.map((channel) => ({ name: `ch ${channel}`, ...spansOf(channel) })).filter(({ changes }) => changes);
    return { shown: [{ name: "device", ...spansOf("") }, ...channels.slice(0, ROWS)], more: channels.length - ROWS };
  }

  // States that are errors: as the events and the present states say.
  errors() {
    const { model } = this,
      found = new Set(this.states.filter(({ severity }) => severity === 1).map(({ after }) => after));
    for (const channel of ["", ...model.channels]) if (model.state(channel)?.common === "error") found.add(model.state(channel).state);
    return found;
  }

  draw() {
    const to = s(this.live.nowNs()),
      from = to - this.span,
      wide = Math.max(160, this.place.clientWidth - NAME_PX),
      x = (seconds) => ((seconds - from) / this.span) * wide,
      errors = this.errors(),
      order = [...new Set([...this.states.map(({ after }) => after), ...this.states.map(({ before }) => before)])].filter((state) => !errors.has(state)).sort();
    const lost = stateSpans(this.links.map((event) => ({ at: s(event.time_ns), before: event.before, after: event.after })), from, to, from, null).filter(({ state }) => state !== "connected");
    const { shown, more } = this.rows(from, to);
    const strip = ({ name, spans }) => {
      const picture = svg("svg", { width: wide, height: HEIGHT, role: "img", "aria-label": `${name}: ${spans.map((one) => words(one.state)).slice(-5).join(", then ") || "not known"}` });
      const part = (one, kind, text) => {
        const left = x(one.from),
          width = Math.max(1.5, x(one.to) - left - 0.5),
          box = svg("rect", { class: `span ${kind}`, x: left, y: 1, width, height: HEIGHT - 2 }),
          title = svg("title");
        title.textContent = `${text}, ${moment(one.from * 1e9)} UTC, ${lasting(one.to - one.from)}`;
        box.append(title);
        picture.append(box);
        if (text.length * LETTER_PX + 6 > width) return;
        const told = svg("text", { class: kind, x: left + 4, y: HEIGHT - 5 });
        told.textContent = text;
        picture.append(told);
      };
      for (const one of spans) part(one, errors.has(one.state) ? "bad" : `shade${order.indexOf(one.state) % SHADES}`, words(one.state));
      for (const one of name === "device" ? lost : []) part(one, "lost", "no link");
      return el("div", { class: "strip" }, el("b", {}, name), picture);
    };
    this.place.replaceChildren(...shown.map(strip), el("div", { class: "strip" }, el("b"), this.axis(from, to, wide, x)));
    setText($("#states-told"), this.failed || (more > 0 ? `and ${more} more channels that changed` : this.model.channels.length ? "Channels that changed." : ""));
    this.list(shown);
  }

  axis(from, to, wide, x) {
    const picture = svg("svg", { width: wide, height: 28, "aria-hidden": "true" }),
      step = STEPS.find((one) => (one / this.span) * wide >= MARK_PX) ?? STEPS.at(-1),
      at = marks(from, to, step);
    texts(at, step).forEach((text, index) =>
      text.split("\n").forEach((line, row) => {
        const node = svg("text", { class: "axis", x: x(at[index]), y: 11 + 13 * row, "text-anchor": x(at[index]) > wide - 24 ? "end" : x(at[index]) < 18 ? "start" : "middle" });
        node.textContent = line;
        picture.append(node);
      }),
    );
    return picture;
  }

  // The same in words, for those who read or hear it.
  list(shown) {
    const lines = shown.flatMap(({ name, spans }) => spans.map((one) => ({ name, ...one }))).sort((a, b) => b.from - a.from);
    const row = ({ name, from, to, state }) => el("tr", {}, el("td", { class: "nw" }, moment(from * 1e9)), el("td", {}, name), el("td", {}, words(state)), el("td", { class: "num nw" }, lasting(to - from)));
    $("#states-list").replaceChildren(...lines.slice(0, LISTED).map(row));
  }
}
