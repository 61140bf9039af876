// Views of trends that this browser keeps: points, axes and range. The link of a view opens the same for a colleague.
import { $, el } from "./dom.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { note } from "./shell.js";

const KEY = "trend-views";

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
}

function keep(views) {
  try {
    localStorage.setItem(KEY, JSON.stringify(views));
  } catch {
    note("This browser keeps no views: its storage is denied. Keep the link instead.", { bad: true });
  }
}

export function savedViews(live) {
  const list = $("#views");
  const draw = () => {
    const views = kept();
    list.replaceChildren(
      ...views.map(({ name, query }, index) =>
        el(
          "li",
          {},
          el("a", { href: query, "aria-current": query === location.search ? "true" : null }, name),
          el(
            "button",
            {
              type: "button",
              "aria-label": `Delete ${name}`,
              onclick: () => {
                keep(views.filter((_, other) => other !== index));
                draw();
              },
            },
            "×",
          ),
        ),
      ),
    );
    $("#no-views").hidden = views.length > 0;
  };
  $("#save-view").addEventListener("click", async () => {
    const name = el("input", { name: "name", autocomplete: "off", maxlength: "60" });
    const rows = [["Keeps", "points, axes and range, in this browser"]];
    const check = () => (name.value.trim() ? "" : "Give it a name.");
    if (!(await confirm(live, { title: "Save this view", rows, fields: boxed("Name", name, ""), button: "Save", check, safe: true }))) return;
    const called = name.value.trim();
    keep([...kept().filter((one) => one.name !== called), { name: called, query: location.search }]);
    draw();
  });
  $("#copy-link").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      note("The link of this view is copied.");
    } catch {
      note("Copy the address of this page:", { detail: location.href, seconds: 60 });
    }
  });
  draw();
  return draw;
}
