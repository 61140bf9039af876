// The page of snapshots: the golden ones, the list, and the last restores with the one under way.
import { $, data, el } from "./dom.js";
import { command } from "./acts.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { post } from "./post.js";
import { note } from "./shell.js";
import { ask, cell, pageOf, results, time } from "./snapshot-words.js";

const KEY = "restore.present";

export function page(live) {
  live.watch = { devices: [], points: false, states: true, events: true, partitions: [""] };

  function refused(message, suggestion) {
    const banner = $("#snapshots-failed");
    banner.hidden = false;
    banner.textContent = suggestion ? `${message}. ${suggestion}` : message;
  }

  const link = (name) => el("a", { href: pageOf(name) }, name);

  function fill(table, rows, none) {
    $(table).replaceChildren(...rows);
    $(none).hidden = rows.length > 0;
  }

  async function drawSnapshots() {
    const told = await ask("/api/v1/snapshots", refused);
    if (!told) return;
    const rows = told.snapshots.map((one) =>
      el(
        "tr",
        { "data-snapshot": one.name },
        el("td", {}, el("b", {}, link(one.name)), one.golden ? el("span", { class: "badge mark" }, "golden") : null),
        cell(one.scope.join(" ")),
        el("td", { class: "num" }, String(one.points), one.not_present ? el("span", { class: "badge", title: "had no present value" }, `${one.not_present} not known`) : null),
        el("td", { class: "nw" }, time(one.taken_ns)),
        cell(one.taken_by),
        cell(one.reason, "free"),
      ),
    );
    fill("#snapshots", rows, "#no-snapshots");
  }

  async function drawGolden() {
    const told = await ask("/api/v1/golden", refused);
    if (!told) return;
    const rows = told.golden.map(({ mark, compared, differs, unknown }) =>
      el(
        "tr",
        {},
        cell(mark.scope),
        el("td", {}, el("b", {}, link(mark.snapshot))),
        el("td", { class: differs ? "differs nw" : "nw" }, `${differs} of ${compared}${unknown ? `, ${unknown} not known` : ""}`),
        el("td", { class: "nw" }, time(mark.marked_ns), ` ${mark.marked_by}`),
        cell(mark.reason, "free"),
      ),
    );
    fill("#golden", rows, "#no-golden");
  }

  async function drawRestores() {
    const told = await ask("/api/v1/restores", refused);
    if (!told) return;
    const rows = told.restores.map((one) =>
      el(
        "tr",
        { "data-restore": one.id },
        el("td", { class: "nw" }, time(one.started_ns)),
        el("td", {}, el("b", {}, link(one.snapshot))),
        cell(one.by),
        el("td", { class: one.end === "done" ? "end" : "end differs" }, one.end),
        cell(results(one.results.map(({ end }) => end)), "points"),
        cell(one.cause ? `${one.reason}. ${one.cause.message}` : one.reason, "free"),
      ),
    );
    fill("#restores", rows, "#no-restores");
  }

  command(live, $("#take"), "take", () => take(live, drawSnapshots));
  command(live, $("#import"), "import", () => bring(live, drawSnapshots));

  let seen = "";
  live.on("change", ({ states }) => {
    const state = states[KEY];
    if (!state) return;
    const row = $(`[data-restore="${CSS.escape(state.id)}"]`),
      now = `${state.id} ${state.end}`;
    if (row && state.end === "running") row.querySelector(".points").textContent = results(state.ends);
    if (seen !== now) {
      drawRestores();
      drawGolden();
    }
    seen = now;
  });
  drawSnapshots();
  drawGolden();
  drawRestores();
}

async function take(live, drawn) {
  const name = el("input", { name: "name", maxlength: "60", autocomplete: "off" }),
    what = el("input", { name: "points", autocomplete: "off", value: "*" }),
    reason = el("input", { name: "reason", maxlength: "500", autocomplete: "off" });
  const words = () => what.value.split(/[\s,]+/).filter(Boolean);
  const areas = data.areas.length ? `; areas: ${data.areas.map((one) => `area:${one}`).join(" ")}` : "";
  const yes = await confirm(live, {
    title: "Take a snapshot",
    rows: [
      ["Keeps", "the present value of each point that can be written, with its readback"],
      ["Names", `devices: ${data.devices.join(" ")}${areas}; points: DEVICE.POINT; * for any text`],
    ],
    fields: el("div", {}, boxed("Name", name), boxed("Devices, areas or points", what), boxed("Reason, required", reason)),
    button: "Take",
    check: () => (!name.value.trim() ? "Give it a name." : !words().length ? "Name what it is of." : !reason.value.trim() ? "The reason is missing." : ""),
  });
  if (!yes) return;
  const answer = await post(`/api/v1/snapshots/${encodeURIComponent(name.value.trim())}/take`, { points: words(), reason: reason.value.trim() });
  if (!answer.done) return note(`No snapshot was taken. ${answer.cause.message}`, { bad: true, detail: answer.cause.suggestion });
  const { name: called, points, not_present: missing } = answer.told;
  note(`${called}: ${points} points`, { detail: missing ? `${missing} of them have no present value` : "" });
  drawn();
}

async function bring(live, drawn) {
  const text = el("textarea", { name: "document", rows: "14", spellcheck: "false" });
  const yes = await confirm(live, {
    title: "Import a snapshot",
    rows: [["Does", "adds the snapshot of the file; nothing is written to devices"]],
    fields: boxed("YAML or JSON, as it is exported", text),
    button: "Import",
    check: () => (text.value.trim() ? "" : "Paste the document."),
  });
  if (!yes) return;
  const answer = await post("/api/v1/snapshots/import", { document: text.value });
  if (!answer.done) return note(`It was not imported. ${answer.cause.message}`, { bad: true, detail: answer.cause.suggestion });
  note(`${answer.told.name} is imported`);
  drawn();
}
