// The columns of the table of channels: which are shown, in which order. Each user chooses them for a kind of device; the
// browser keeps the choice.
import { $, $$, el } from "./dom.js";
import { confirm } from "./confirm.js";

const FIXED = 2; // channel and state before them, age behind

const keyOf = (driver) => `columns.${driver}`;

function kept(driver) {
  try {
    return JSON.parse(localStorage.getItem(keyOf(driver)) ?? "null");
  } catch {
    return null;
  }
}

function keep(driver, choice) {
  try {
    if (choice) localStorage.setItem(keyOf(driver), JSON.stringify(choice));
    else localStorage.removeItem(keyOf(driver));
  } catch {
    /* storage is denied: the description's columns are shown */
  }
}

// The names in the order of the choice; those that it does not know stay behind it, as they are described.
export function ordered(names, choice) {
  const known = (choice?.order ?? []).filter((name) => names.includes(name));
  return [...known, ...names.filter((name) => !known.includes(name))];
}

// Before the table is read by others: every row has the same columns, so that they are moved by their place.
export function columns(live, driver) {
  const table = $(".lg.channels");
  if (!table) return;
  const heads = $$("th[data-column]", table),
    names = heads.map((th) => th.dataset.column),
    described = new Set(heads.filter((th) => !th.classList.contains("rest")).map((th) => th.dataset.column)),
    choice = kept(driver);
  if (choice) {
    const order = ordered(names, choice),
      shown = new Set(choice.shown);
    for (const tr of $$("tr", table)) {
      const cells = [...tr.cells],
        of = new Map(names.map((name, index) => [name, cells[FIXED + index]])),
        last = cells.at(-1);
      for (const name of order) {
        const cell = of.get(name);
        cell.classList.toggle("rest", !shown.has(name));
        tr.insertBefore(cell, last);
      }
    }
  }
  const labels = new Map(heads.map((th) => [th.dataset.column, th.textContent]));
  $("#columns").addEventListener("click", () => ask(live, driver, { names, labels, described }));
}

async function ask(live, driver, { names, labels, described }) {
  const choice = kept(driver),
    shown = new Set(choice?.shown ?? described);
  const list = el("ul", { class: "columns" });
  const line = (name) => {
    const box = el("input", { type: "checkbox", value: name, checked: shown.has(name) });
    const move = (by, sign, word) =>
      el("button", {
        class: "btn small",
        type: "button",
        "aria-label": `${labels.get(name)} ${word}`,
        onclick: ({ target }) => {
          const li = target.closest("li"),
            other = by < 0 ? li.previousElementSibling : li.nextElementSibling;
          if (other) other[by < 0 ? "before" : "after"](li);
          target.focus();
        },
      }, sign);
    return el("li", {}, el("label", {}, box, ` ${labels.get(name)}`), move(-1, "↑", "up"), move(1, "↓", "down"));
  };
  const fill = (order) => list.replaceChildren(...order.map(line));
  fill(ordered(names, choice));
  let reset = false;
  const described_ = () => {
    reset = true;
    shown.clear();
    for (const name of described) shown.add(name);
    fill(names);
  };
  const chosen = () => $$("input:checked", list).map((box) => box.value);
  const sure = await confirm(live, {
    title: "Columns",
    rows: [["For", `every ${driver} device, in this browser`]],
    fields: el("div", {}, list, el("button", { class: "btn small", type: "button", onclick: described_ }, "As described")),
    button: "Show these",
    check: () => (chosen().length ? "" : "Choose at least one."),
    safe: true,
  });
  if (!sure) return;
  const order = $$("input", list).map((box) => box.value),
    same = reset && order.join() === names.join() && chosen().length === described.size && chosen().every((name) => described.has(name));
  keep(driver, same ? null : { order, shown: chosen() });
  location.reload();
}
