// The list of alarms. Only the rows that are seen are in the page, so that ten thousand alarms stay usable; a row is
// made anew only where what it shows has changed.
import { after } from "./format.js";
import { $, el } from "./dom.js";
import { flagText, memberState, sign, stateText, time, what } from "./alarm-words.js";
import { canReset, waits } from "./alarm-model.js";

const BEYOND = 8; // rows above and below those that are seen
const WIDE = { alarm: 37, cause: 46, member: 30, flagged: 31, section: 31 };
const NARROW = { alarm: 92, cause: 128, member: 74, flagged: 74, section: 38 };

export class AlarmList {
  // on: {select(id), tick(id, on), fold(name, open), reset(id), unshelve(id), service(id), acknowledge(ids)}
  constructor(place, on) {
    Object.assign(this, { place, on, rows: [], ticked: new Set(), current: "", nodes: new Map(), tops: [], nowNs: 0 });
    this.body = $(".al-body", place);
    this.narrow = matchMedia("(max-width:1000px)");
    this.narrow.addEventListener("change", () => this.measure());
    place.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(place);
    this.body.addEventListener("click", (event) => this.click(event));
  }

  // Show these rows; `ticked` are the selected ones, `current` the one that is shown beside the list.
  show(rows, ticked, current, nowNs) {
    Object.assign(this, { rows, ticked, current, nowNs });
    this.measure();
  }

  heightOf(row) {
    const heights = this.narrow.matches ? NARROW : WIDE;
    return heights[row.kind === "alarm" && (row.members || row.alarm.first_out) ? "cause" : row.kind];
  }

  measure() {
    let top = 0;
    this.tops = this.rows.map((row) => {
      const mine = top;
      top += this.heightOf(row);
      return mine;
    });
    this.total = top;
    const height = `${top}px`;
    if (this.body.style.height !== height) this.body.style.height = height;
    this.place.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.draw();
  }

  // The number of the row at a height: the last whose top is not below it.
  rowAt(y) {
    let low = 0,
      high = this.tops.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  draw() {
    const { scrollTop, clientHeight } = this.place,
      head = this.body.offsetTop;
    const first = Math.max(0, this.rowAt(scrollTop - head) - BEYOND),
      last = Math.min(this.rows.length - 1, this.rowAt(scrollTop - head + clientHeight) + BEYOND);
    const wanted = new Set();
    for (let index = first; index <= last; index++) wanted.add(this.put(index));
    for (const [key, { node }] of this.nodes) {
      if (wanted.has(key)) continue;
      node.remove();
      this.nodes.delete(key);
    }
    // In the page they stand in the order of the list, for those who hear it.
    let before = null;
    for (const key of wanted) {
      const { node } = this.nodes.get(key);
      if (node.previousElementSibling !== before) this.body.insertBefore(node, before ? before.nextElementSibling : this.body.firstElementChild);
      before = node;
    }
    this.place.setAttribute("aria-activedescendant", this.nodes.get(this.current)?.node.id ?? "");
  }

  // Put one row where it belongs; returns its key.
  put(index) {
    const row = this.rows[index],
      told = JSON.stringify([row, this.ticked.has(row.key), row.key === this.current, Math.floor(this.nowNs / 60e9)]);
    let known = this.nodes.get(row.key);
    if (known?.told !== told) {
      const node = this.build(row);
      if (known) known.node.replaceWith(node);
      else this.body.append(node);
      known = { node, told };
      this.nodes.set(row.key, known);
    }
    const { style } = known.node,
      place = `translateY(${this.tops[index]}px)`;
    if (style.transform !== place) style.transform = place;
    const height = `${this.heightOf(row)}px`;
    if (style.height !== height) style.height = height;
    known.node.setAttribute("aria-rowindex", String(index + 2));
    return row.key;
  }

  build(row) {
    if (row.kind === "section") return this.section(row);
    const { alarm } = row,
      current = row.key === this.current;
    const cells = { alarm: this.alarm, member: this.member, flagged: this.flagged }[row.kind].call(this, row);
    return el(
      "div",
      {
        class: `al-row ${row.kind} p${alarm.priority}${row.kind === "alarm" && waits(alarm) ? " waits" : ""}${current ? " current" : ""}`,
        role: "row",
        id: `alarm-${row.key.replaceAll(".", "-")}`,
        "data-id": alarm.id,
        "aria-selected": String(current),
      },
      ...cells.map((cell) => (cell.setAttribute("role", "gridcell"), cell)),
    );
  }

  tick(alarm) {
    return el(
      "span",
      { class: "tk" },
      el("input", { type: "checkbox", tabIndex: -1, checked: this.ticked.has(alarm.id), "aria-label": `select ${alarm.title}` }),
    );
  }

  alarm({ alarm, members, open }) {
    const marks = [
      alarm.first_out || members ? el("span", { class: "first" }, "first out") : null,
      members
        ? el("button", { class: "fold", type: "button", tabIndex: -1, "data-act": "fold", "aria-expanded": String(open) }, `${open ? "▾" : "▸"} ${members} ${members === 1 ? "follows" : "follow"} from it`)
        : null,
    ].filter(Boolean);
    const told = what(alarm, this.nowNs);
    return [
      this.tick(alarm),
      el("span", { class: "sg" }, sign(alarm)),
      el("span", { class: "si" }, time(alarm.since_ns, this.nowNs)),
      el("span", { class: "so ell", title: alarm.title }, alarm.title),
      el("span", { class: "wh" }, el("span", { class: "ell", title: told }, told), marks.length ? el("span", { class: "marks" }, ...marks) : null),
      el(
        "span",
        { class: "stt" },
        el("span", {}, stateText(alarm, this.nowNs)),
        canReset(alarm) ? el("button", { class: "lnk", type: "button", tabIndex: -1, "data-act": "reset" }, "Reset…") : null,
        waits(alarm) ? el("button", { class: "btn ack", type: "button", tabIndex: -1, "data-act": "acknowledge" }, "Acknowledge") : null,
      ),
    ];
  }

  member({ alarm, cause, last }) {
    const told = what(alarm, this.nowNs);
    return [
      el("span", { class: "tk" }),
      el("span", { class: "sg" }),
      el("span", { class: "si", title: `${alarm.title} ${after(alarm.since_ns - cause.since_ns)} after its cause` }, after(alarm.since_ns - cause.since_ns)),
      el("span", { class: `so ell${last ? " last" : ""}`, title: alarm.title }, el("i", { class: "branch", "aria-hidden": "true" }), sign(alarm, true), " ", alarm.title),
      el("span", { class: "wh" }, el("span", { class: "ell", title: told }, told)),
      el("span", { class: "stt" }, memberState(alarm)),
    ];
  }

  flagged({ alarm }) {
    const [why, until] = flagText(alarm, this.nowNs),
      act = alarm.service ? ["service", "In service"] : alarm.shelf ? ["unshelve", "Unshelve"] : null;
    return [
      this.tick(alarm),
      el("span", { class: "sg" }, sign(alarm, true)),
      el("span", { class: "so wide ell", title: alarm.title }, alarm.title),
      el("span", { class: "wh" }, el("span", { class: "ell", title: why }, why)),
      el("span", { class: "stt" }, el("span", {}, until), act ? el("button", { class: "lnk", type: "button", tabIndex: -1, "data-act": act[0] }, act[1]) : null),
    ];
  }

  section({ name, title, about, count, open }) {
    return el(
      "div",
      { class: "al-row section", role: "row", "data-section": name, id: `alarm-section-${name}` },
      el(
        "span",
        { role: "gridcell" },
        el("button", { class: "fold plain", type: "button", tabIndex: -1, "data-act": "section", "aria-expanded": String(open) }, `${open ? "▾" : "▸"} ${title} ${count}`),
        " ",
        el("span", { class: "mut" }, about),
      ),
    );
  }

  click(event) {
    const row = event.target.closest(".al-row");
    if (!row) return;
    const act = event.target.closest("[data-act]")?.dataset.act,
      { id, section } = row.dataset;
    if (section) return this.on.fold(section, !this.rows.find((one) => one.name === section)?.open);
    if (act === "fold") return this.on.fold(id, !this.rows.find((one) => one.key === id)?.open);
    if (act === "acknowledge") return this.on.acknowledge([id]);
    if (act) return this.on[act]([id]);
    if (event.target.matches("input")) return this.on.tick(id, event.target.checked);
    return this.on.select(id);
  }

  // Bring the current row into sight.
  reveal() {
    const index = this.rows.findIndex((row) => row.key === this.current);
    if (index < 0) return;
    const head = this.body.offsetTop,
      top = this.tops[index],
      bottom = top + this.heightOf(this.rows[index]);
    if (top < this.place.scrollTop) this.place.scrollTop = top;
    else if (bottom + head > this.place.scrollTop + this.place.clientHeight) this.place.scrollTop = bottom + head - this.place.clientHeight;
    this.draw();
  }
}
