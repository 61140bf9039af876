// The time range of a trend: a number of seconds up to a moment or up to now. Every change can be undone.
import { $, $$ } from "./dom.js";

export class Range {
  constructor(live, query, changed) {
    this.live = live;
    this.span = Number(query.get("span")) || 3600;
    this.to = Number(query.get("to")) || null; // null: up to now, and going on
    this.before = [];
    this.changed = changed;
    for (const button of $$("#presets [data-seconds]")) {
      button.addEventListener("click", () => this.set(Number(button.dataset.seconds), null));
    }
    $("#back").addEventListener("click", () => {
      [this.span, this.to] = this.before.pop();
      changed();
    });
    $("#follow").addEventListener("click", () => this.set(this.span, this.open ? this.now : null));
  }

  get now() {
    return this.live.nowNs() / 1e9;
  }

  get open() {
    return this.to === null;
  }

  get ends() {
    const until = this.to ?? this.now;
    return [until - this.span, until];
  }

  set(span, to) {
    this.before.push([this.span, this.to]);
    [this.span, this.to] = [span, to];
    this.changed();
  }

  show() {
    for (const button of $$("#presets [data-seconds]")) {
      button.setAttribute("aria-pressed", String(this.open && Number(button.dataset.seconds) === this.span));
    }
    $("#follow").setAttribute("aria-pressed", String(this.open));
    $("#back").disabled = !this.before.length;
  }
}
