// Shows values and states in a drawing. What is abnormal comes from the server as a level; here only evidence that is
// gone is added: no value, a lost link, an alarm department that is not running.
import { $, $$, setText, svg } from "./dom.js";
import { clock, unit, value, words } from "./format.js";

const GOOD = 0,
  STALE = 4;
const QUALITIES = ["good", "uncertain", "stale", "bad"];
const LEVELS = ["normal", "high priority", "medium priority", "low priority", "stale"];
const AREA = ["normal", "high", "medium", "low", "not known"];
const SIGNS = ["", "■ ", "▲ ", "◆ ", "◌ ", "? "];
const ALL = (names) => [...new Set(names.filter(Boolean))];

export function synoptics(live) {
  const shown = $$("[data-synoptic]").flatMap((place) => elements(place));
  const listeners = [];
  const of = (...kinds) => shown.filter(({ bound }) => kinds.includes(bound.kind)).map(({ bound }) => bound.target);
  const states = shown.some(({ bound }) => ["partition", "system"].includes(bound.kind));
  const renew = () => {
    for (const one of shown) one.show(look(live, one.bound), live.trusted ? "" : live.lostSince === null ? "no value yet" : "stale: the link is lost");
    for (const listener of listeners) listener();
  };
  live.on("change", renew);
  live.on("link", renew);
  const made = {
    shown,
    points: ALL(of("point")),
    devices: ALL([...of("device"), ...of("point", "channel").map((name) => name.split(".")[0])]),
    partitions: states ? ["*"] : [],
    onChange: (listener) => listeners.push(listener),
  };
  renew();
  for (const place of $$("[data-synoptic]")) enlarges(place);
  return made;
}

// On a narrow screen the whole drawing is shown, and the button makes it as large as its texts need.
function enlarges(place) {
  const button = $(".sy-more", place);
  button?.addEventListener("click", () => {
    const large = $(".sy-place", place).classList.toggle("large");
    button.setAttribute("aria-pressed", String(large));
    setText(button, large ? "Whole drawing" : "Enlarge");
  });
}

function elements(place) {
  const drawing = $("svg", place),
    data = place.nextElementSibling;
  if (!drawing || !data?.matches(".sy-data")) return [];
  const width = drawing.viewBox.baseVal.width;
  return JSON.parse(data.textContent).map((bound, number) => new Shown(bound, $(`[data-sy="${number}"]`, drawing), number, width));
}

// What is known of a target: { given, text, level, quality, ns, reason }.
export function look(live, bound) {
  if (bound.wrong) return { level: STALE, quality: 3, reason: bound.wrong };
  const of = LOOKS[bound.kind];
  return of ? of(live, bound) : { plain: true, level: 0, quality: GOOD };
}

const LOOKS = {
  point(live, { target, point }) {
    const [given = null, quality = 3, ns = 0, level = STALE, reason = ""] = live.points.get(target) ?? [];
    // A value that is bad is none: only its quality is shown.
    return { given: quality > 2 ? null : given, text: value(point ?? {}, quality > 2 ? null : given), level, quality, ns, reason };
  },
  device(live, { target }) {
    return state(live, live.states.get(`device.${target}`), target, live.watched ? (live.devices[target]?.worst ?? STALE) : STALE);
  },
  channel(live, { target }) {
    return state(live, live.states.get(`channel.${target}`), target.split(".")[0], judged(live, `channel:${target}`));
  },
  area(live, { target }) {
    const level = judged(live, `area:${target}`);
    return { text: AREA[level], level, quality: level === STALE ? 2 : GOOD, reason: level === STALE ? "what is abnormal is not known" : "" };
  },
  partition(live, { target }) {
    const told = live.partitions[target],
      own = live.states.get(`partition.${target}`);
    if (!told || told.gone_ns) return { text: words(told?.state), level: STALE, quality: 2, reason: told ? "its owner is gone" : "it is not there" };
    const given = own?.state ?? told.state;
    return { given, text: words(given), level: live.watched ? told.worst : STALE, quality: GOOD, ns: own?.since_ns ?? 0 };
  },
  system(live, { target }) {
    for (const [key, one] of live.states) {
      const member = key.startsWith("partition.") && one.members?.find(({ system }) => system === target);
      if (!member) continue;
      const told = live.partitions[one.partition],
        gone = !told || told.gone_ns || member.seen === "Connection Problem",
        level = gone ? STALE : judged(live, `system:${target}`);
      return { given: member.own, text: words(member.own), level, quality: level === STALE ? 2 : GOOD, ns: member.reported_ns, reason: member.cause?.message ?? "" };
    }
    return { text: words(), level: STALE, quality: 2, reason: "it is in no partition" };
  },
};

// The worst alarm of a place, where that is known.
const judged = (live, place) => (live.watched ? (live.places[place] ?? 0) : STALE);

function state(live, own, device, level) {
  const gone = !own || live.alive[device] === false;
  const lost = gone || own.link !== "connected";
  const reason = gone ? "its device host is gone" : (own.cause?.message ?? "");
  return { given: own?.state, text: words(own?.state), level: lost && !(level && level < STALE) ? STALE : level, quality: lost ? 2 : GOOD, ns: own?.since_ns ?? 0, reason };
}

class Shown {
  constructor(bound, link, number, width) {
    this.bound = bound;
    this.name = bound.name;
    this.link = link;
    this.href = link.getAttribute("href");
    this.body = link.firstElementChild;
    this.paint = $(`[data-sy-p="${number}"]`, link);
    this.writing = $(`[data-sy-t="${number}"]`, link);
    this.transform = this.body.getAttribute("transform") ?? "";
    this.size = Math.max(width / 90, 6);
    this.now = { level: STALE, told: "–", words: "no value", time: "" };
  }

  // `distrust`: why nothing can be known now; empty where the link is there.
  show(seen, distrust) {
    const trusted = !distrust,
      level = trusted ? seen.level : seen.level && seen.level < STALE ? seen.level : STALE,
      gone = !seen.plain && (!trusted || seen.quality >= 2 || level === STALE),
      unsure = !seen.plain && !gone && seen.quality === 1;
    if (seen.plain) {
      this.link.setAttribute("aria-label", this.named(`${this.name}, page`));
      this.link.dataset.why = this.name;
      this.now = { level: 0, told: "page", words: "", time: "" };
      return;
    }
    const units = unit(this.bound.point?.unit),
      quality = distrust || QUALITIES[seen.quality],
      told = [seen.text ?? "–", seen.given === null || !units ? "" : units].filter(Boolean).join(" "),
      time = seen.ns ? clock(seen.ns) : "";
    const alarm = level && level < STALE ? `, ${LEVELS[level]}` : "";
    this.now = { level, told, words: quality + (seen.reason ? `: ${seen.reason}` : ""), time };
    // An alarm keeps its sign where the evidence is gone: the dashes tell that.
    const sign = level && level < STALE ? level : gone ? STALE : unsure ? 5 : 0;
    if (this.writing) setText(this.writing, (this.writing === this.paint ? SIGNS[sign] : "") + this.written(seen, units));
    const says = `${this.name}: ${told}${alarm}, ${this.now.words}${time ? `, ${time} UTC` : ""}`;
    if (this.says !== says) {
      this.says = says;
      this.link.setAttribute("aria-label", this.named(says));
      this.link.dataset.why = says;
    }
    const look = `${level} ${gone} ${unsure}`;
    if (this.looks !== look) {
      this.looks = look;
      if (this.paint) for (const [name, on] of Object.entries({ l1: level === 1, l2: level === 2, l3: level === 3, gone, unsure })) this.paint.classList.toggle(name, on);
    }
    this.move(seen, gone);
    this.hide(seen, gone || level > 0);
    this.sign(sign);
  }

  // What is read in the drawing is part of the name, so that it can be spoken to.
  named(says) {
    const own = [...this.link.querySelectorAll("text, tspan")].filter((node) => node.closest(".sy") === this.link && !node.querySelector("tspan"));
    const read = (own.length ? own.map((node) => node.textContent).join(" ") : this.link.textContent).replace(/^[■▲◆◌?] /, "").trim();
    return says.includes(read) ? says : `${read}, ${says}`;
  }

  written(seen, units) {
    const pattern = this.bound.text ?? "{value} {unit}",
      parts = { value: seen.text ?? "–", unit: seen.given === null ? "" : units, name: this.name };
    return pattern.replaceAll(/\{(value|unit|name)\}/g, (_, key) => parts[key]).trim();
  }

  // Fills and turns the element. Without evidence it is whole and as drawn, with a dashed outline.
  move(seen, gone) {
    const { level, turn } = this.bound;
    if (!level && !turn) return;
    const given = gone ? null : seen.given;
    if (this.moved === given) return;
    this.moved = given;
    const box = this.body.getBBox(),
      part = ({ low, high }) => Math.min(1, Math.max(0, (given - low) / (high - low)));
    let moves = "";
    if (typeof given === "number" && turn) {
      const [x, y] = pivot(box, turn.about);
      moves += ` rotate(${(turn.start + (turn.end - turn.start) * part(turn)).toFixed(2)} ${x} ${y})`;
    }
    if (typeof given === "number" && level) {
      const k = Math.max(part(level), 0.001).toFixed(4);
      moves += level.towards === "up" ? ` translate(0 ${box.y + box.height}) scale(1 ${k}) translate(0 ${-box.y - box.height})` : ` translate(${box.x} 0) scale(${k} 1) translate(${-box.x} 0)`;
    }
    this.body.setAttribute("transform", this.transform + moves);
  }

  hide(seen, always) {
    const { visible } = this.bound;
    if (visible) this.link.classList.toggle("sy-off", !always && !matches(visible, seen.given));
  }

  // The sign of the level at the upper right corner: its shape says the same as its colour.
  sign(level) {
    if (this.signed === level) return;
    this.signed = level;
    this.mark?.remove();
    this.mark = null;
    if (!level || this.writing === this.paint || !this.paint?.getBBox) return;
    const box = this.paint.getBBox(),
      from = this.link.getScreenCTM(),
      to = this.paint.getScreenCTM();
    if (!from || !to || this.link.closest("text")) return;
    const at = new DOMPoint(box.x + box.width, box.y).matrixTransform(from.inverse().multiply(to)),
      r = this.size / 2;
    const shapes = {
      1: `M${-r} ${-r}H${r}V${r}H${-r}Z`,
      2: `M0 ${-r}L${r} ${r}H${-r}Z`,
      3: `M0 ${-r}L${r} 0L0 ${r}L${-r} 0Z`,
      4: `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`,
      5: `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0ZM0 ${-r / 2}V${r / 8}M0 ${r / 3}V${r / 2}`,
    };
    this.mark = svg("path", { class: `sy-sign m${level}`, d: shapes[level], transform: `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)})` });
    this.link.append(this.mark);
  }
}

const pivot = ({ x, y, width, height }, about) =>
  ({ left: [x, y + height / 2], right: [x + width, y + height / 2], top: [x + width / 2, y], bottom: [x + width / 2, y + height] })[about] ?? [x + width / 2, y + height / 2];

function matches({ words = [], above = null, below = null }, given) {
  if (words.includes(given)) return true;
  return typeof given === "number" && ((above !== null && given > above) || (below !== null && given < below));
}
