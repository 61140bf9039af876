// Keyboard navigation in tables whose rows can be opened: up and down move, Enter does the same as a click.
import { $, $$ } from "./dom.js";

const ACTS = "a[href], button, input, summary";
const shown = (node) => node.offsetParent !== null;

export function rows() {
  addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = event.target.matches(".scroll") ? first(event.target, step) : beside(event.target, step);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

const first = (place, step) => (step > 0 ? $$(`.t tbody :is(${ACTS})`, place).find(shown) : null);

function beside(node, step) {
  const cell = node.matches(ACTS) && node.closest(".t tbody :is(td, th)");
  if (!cell) return null;
  const all = $$("tbody tr", cell.closest("table")).filter((tr) => shown(tr) && $(ACTS, tr));
  const tr = all[all.indexOf(cell.parentElement) + step];
  return tr ? ($(ACTS, tr.cells[cell.cellIndex]) ?? $(ACTS, tr)) : null;
}
