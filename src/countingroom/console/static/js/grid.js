// The table of values of a device. A cell is written only when its text changes; arrow keys move, Enter opens, and the
// map shows what is scrolled out of sight.
import { $, $$, el, setClass, setText } from "./dom.js";
import { age, disc, value, words } from "./format.js";
import { GLYPHS } from "./parts.js";

export class Grid {
  constructor(live, { device, points, channels, select }) {
    Object.assign(this, { live, device, points, channels, select });
    this.cells = new Map();
    for (const td of $$(".lg td[data-p]")) {
      const kind = td.classList.contains("rest") ? " rest" : "";
      const list = this.cells.get(td.dataset.p) ?? this.cells.set(td.dataset.p, []).get(td.dataset.p);
      list.push({ td, kind });
    }
    this.rows = new Map(
      $$(".lg tbody tr").map((tr) => [
        tr.dataset.channel !== undefined ? `c:${tr.dataset.channel}` : `p:${tr.dataset.point}`,
        tr,
      ]),
    );
    this.newest = new Map();
    this.at = null;
    this.buildMap();
    $(".lg-wrap").addEventListener("click", ({ target }) =>
      this.choose(target.closest(".tiles tr")?.querySelector("td.st") ?? target.closest("td, tbody th")),
    );
    $(".lg-wrap").addEventListener("keydown", (event) => this.key(event));
    $("#all-values").addEventListener("change", (event) =>
      $(".gridbox").classList.toggle("hide-rest", !event.target.checked),
    );
    $(".gridbox").classList.add("hide-rest");
    const first = $(".lg tbody td");
    if (first) first.tabIndex = 0;
  }

  rowOf(name) {
    const point = this.points.get(name);
    return point?.channel ? `c:${point.channel}` : `p:${name}`;
  }

  take(points) {
    const prefix = this.device.length + 1;
    for (const [name, row] of Object.entries(points)) {
      if (!name.startsWith(this.device + ".")) continue;
      const short = name.slice(prefix),
        point = this.points.get(short);
      if (!point) continue;
      const key = this.rowOf(short);
      if (row[2] > (this.newest.get(key) ?? 0)) this.newest.set(key, row[2]);
      for (const { td, kind } of this.cells.get(name) ?? []) {
        setText(td, value(point, row[0]));
        const cursor = td.classList.contains("cur") ? " cur" : "";
        setClass(td, `${row[3] ? `f${row[3]}` : ""}${kind}${cursor}`.trim());
      }
    }
    this.mapLevels();
  }

  states() {
    for (const channel of this.channels) {
      const state = this.live.states.get(`channel.${this.device}.${channel}`),
        tr = this.rows.get(`c:${channel}`);
      if (!state || !tr) continue;
      setClass(tr, `${state.common === "off" ? "off" : ""} ${state.active ? "" : "ex"}`.trim());
      const td = tr.children[1],
        cursor = td.classList.contains("cur") ? " cur" : "";
      setClass(td, `st s-${disc(state)}${cursor}`);
      setText(td, words(state.state));
    }
    this.mapLevels();
  }

  ages(nowNs) {
    for (const [key, ns] of this.newest) {
      const tr = this.rows.get(key);
      if (tr) setText(tr.lastElementChild, age((nowNs - ns) / 1e9));
    }
  }

  buildMap() {
    const place = $("#map .cells");
    const names = this.channels.length ? this.channels.map((channel) => `c:${channel}`) : [...this.rows.keys()];
    $("#map").classList.toggle("many", names.length > 60);
    this.map = new Map(
      names.map((key) => [
        key,
        el("button", {
          type: "button",
          tabIndex: -1,
          "aria-label": key.slice(2),
          title: key.slice(2),
          onclick: () => this.choose(this.rows.get(key).querySelector("td:not(.st)")),
        }),
      ]),
    );
    place.replaceChildren(...this.map.values());
  }

  mapLevels() {
    const worst = new Map();
    const urgency = [0, 4, 3, 2, 1];
    for (const [name] of this.points) {
      const level = this.live.points.get(`${this.device}.${name}`)?.[3] ?? 0,
        key = this.rowOf(name);
      if (level && urgency[level] > urgency[worst.get(key) ?? 0]) worst.set(key, level);
    }
    for (const [key, button] of this.map) {
      const state = key.startsWith("c:") ? this.live.states.get(`channel.${this.device}.${key.slice(2)}`) : null;
      let level = worst.get(key) ?? 0;
      if (state?.active && disc(state) === "error") level = 1;
      if (state && disc(state) === "no_link") level = 4;
      setClass(button, level ? `m${level}` : state?.common === "off" ? "m5" : "");
      setText(button, GLYPHS[level]);
    }
  }

  choose(cell) {
    if (!cell) return;
    const tr = cell.closest("tr");
    this.at?.classList.remove("cur");
    if (this.at) this.at.tabIndex = -1;
    this.at = cell.tagName === "TH" ? (tr.querySelector("td[data-p]") ?? tr.cells[1]) : cell;
    this.at.classList.add("cur");
    this.at.tabIndex = 0;
    for (const one of $$(".lg tr[aria-selected=true]")) one.removeAttribute("aria-selected");
    tr.setAttribute("aria-selected", "true");
    const key = tr.dataset.channel !== undefined ? `c:${tr.dataset.channel}` : `p:${tr.dataset.point}`;
    for (const [name, button] of this.map) button.setAttribute("aria-pressed", String(name === key));
    this.at.scrollIntoView({ block: "nearest", inline: "nearest" });
    const name = this.at.dataset.p?.slice(this.device.length + 1) ?? (tr.dataset.point || null);
    this.select({ channel: tr.dataset.channel ?? "", point: name });
  }

  key(event) {
    const td = event.target.closest("td");
    if (!td) return;
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter") {
      event.preventDefault();
      this.choose(td);
      $("#sel input, #sel select, #sel button")?.focus();
      return;
    }
    if (!step) return;
    event.preventDefault();
    const seen = (cells) => [...cells].filter((cell) => cell.offsetParent !== null);
    const rows = $$(".lg tbody tr").filter((tr) => tr.offsetParent !== null);
    const from = td.parentElement,
      tiles = rows.filter((tr) => tr.closest(".tiles")),
      isTile = tiles.includes(from),
      wide = isTile ? tiles.filter((tr) => tr.offsetTop === tiles[0].offsetTop).length : 1,
      to = rows.indexOf(from) + step[0] * wide + (isTile ? step[1] : 0);
    const tr = rows[isTile ? Math.min(to, tiles.length) : to] ?? from;
    const cells = seen(tr.cells).filter((cell) => cell.tagName === "TD"),
      own = seen(from.cells).filter((cell) => cell.tagName === "TD");
    const next = cells[Math.max(0, Math.min(cells.length - 1, own.indexOf(td) + (isTile ? 0 : step[1])))];
    this.choose(next);
    next.focus();
  }
}
