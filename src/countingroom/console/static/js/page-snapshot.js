// The page of one snapshot: compared with the present or another one, restored, marked as golden, deleted.
import { $, data, el, setText } from "./dom.js";
import { command } from "./acts.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { post } from "./post.js";
import { note } from "./shell.js";
import { confirmPlan } from "./snapshot-plan.js";
import { ENDS, api, ask, cell, results, time, value } from "./snapshot-words.js";

const KEY = "restore.present";
const AGAIN_MS = 3000;
const VERDICTS = { differs: "differs", unknown: "not known", missing: "missing", added: "added", equal: "equal" };
const WHATS = { take: "taken", import: "imported", golden: "marked golden", not_golden: "mark removed", restore: "restore begun", end: "restore ended", delete: "deleted" };

export function page(live) {
  const name = data.snapshot;
  live.watch = { devices: ["*"], points: true, states: true, events: true, partitions: [""] };
  const told = (message, detail) => note(message, { bad: true, detail });
  let other = data.with,
    saved = null, // the names of its points; until they are known each point may be one of them
    drawnAt = 0,
    turn = 0,
    waits = null,
    restore = null,
    isGolden = false;

  async function drawRows() {
    drawnAt = performance.now();
    const mine = ++turn,
      query = new URLSearchParams({ equal: String($("#equal").checked) });
    if (other) query.set("with", other);
    const found = await ask(api(name, `/compare?${query}`), told);
    if (!found || mine !== turn) return; // a later question is under way: its answer is newer
    setText($("#other-name"), other || "Now");
    setText($("#counts"), Object.entries(found.counts).map(([verdict, count]) => `${count} ${VERDICTS[verdict]}`).join(", "));
    $("#rows").replaceChildren(
      ...found.rows.map((row) =>
        el(
          "tr",
          { class: row.verdict === "equal" ? null : "differs", "data-point": `${row.device}.${row.point}` },
          el("th", { scope: "row" }, el("a", { href: `/devices/${encodeURIComponent(row.device)}#${encodeURIComponent(row.point)}` }, `${row.device}.${row.point}`), row.label ? el("small", {}, row.label) : null),
          cell(value(row.saved, row.unit, row.words), "num"),
          cell(value(row.other, row.unit, row.words), "num"),
          cell(row.difference ? value(row.difference, row.unit) : "", "num"),
          cell(row.tolerance ? value(row.tolerance, row.unit) : "", "num mut"),
          cell(VERDICTS[row.verdict]),
        ),
      ),
    );
    $("#no-rows").hidden = found.rows.length > 0;
  }

  // New values of its points draw the comparison with the present again, at most once in a while.
  function soon() {
    if (other || waits) return;
    waits = setTimeout(() => {
      waits = null;
      drawRows();
    }, Math.max(0, AGAIN_MS - (performance.now() - drawnAt)));
  }

  async function drawRecord() {
    const found = await ask(api(name), told);
    if (!found) return;
    saved = new Set(found.snapshot.points.map(({ device, point }) => `${device}.${point}`));
    $("#actions").replaceChildren(
      ...found.actions.map((one) =>
        el("tr", {}, el("td", { class: "nw" }, time(one.time_ns)), cell(one.who), cell(one.detail.result ? `${WHATS[one.what]}: ${one.detail.result}` : (WHATS[one.what] ?? one.what)), cell(one.reason, "free")),
      ),
    );
    const list = await ask("/api/v1/snapshots", told);
    isGolden = Boolean(list?.snapshots.find((one) => one.name === name)?.golden);
    setText($("#mark"), isGolden ? "Remove golden mark…" : "Make golden…");
    $("#is-golden").hidden = !isGolden;
  }

  async function drawProgress(state) {
    $("#progress").hidden = false;
    const isNew = restore?.id !== state.id;
    if (isNew) {
      restore = await ask(`/api/v1/restores/${encodeURIComponent(state.id)}`, told);
      if (!restore) return;
      $("#progress-rows").replaceChildren(
        ...restore.writes.map((one) => el("tr", {}, el("th", { scope: "row" }, `${one.device}.${one.point}`), cell(value(one.old, one.unit, one.words), "num"), cell(value(one.new, one.unit, one.words), "num"), cell("", "end"))),
      );
    }
    const running = state.end === "running",
      rows = $("#progress-rows").rows;
    setText($("#progress-title"), `Restore by ${state.by}: ${running ? "under way" : state.end}`);
    setText($("#progress-now"), `${results(state.ends)}${state.current ? `; now ${state.current}` : ""}`);
    setText($("#progress-wrong"), state.cause ? `${state.cause.message}${state.cause.suggestion ? `; ${state.cause.suggestion}` : ""}` : "");
    $("#bar-done").max = state.total;
    $("#bar-done").value = state.ends.filter((end) => end === "restored").length;
    $("#stop").hidden = !running;
    state.ends.forEach((end, index) => {
      const last = rows[index]?.lastElementChild;
      setText(last, ENDS[end] ?? end);
      if (last) last.className = `end e-${end}`;
    });
    if (!running) {
      drawRows();
      drawRecord();
    }
  }

  async function act(rest, body, done) {
    const answer = await post(api(name, rest), body);
    if (!answer.done) note(`${name}: ${answer.cause.message}`, { bad: true, detail: answer.cause.suggestion });
    else done(answer.told);
  }

  async function withReason(title, button, rows, dangerous = false) {
    const reason = el("input", { name: "reason", maxlength: "500", autocomplete: "off" });
    const check = () => (reason.value.trim() ? "" : "The reason is missing.");
    const yes = await confirm(live, { title, rows, button, dangerous, fields: boxed("Reason, required", reason), check });
    return yes ? reason.value.trim() : "";
  }

  command(live, $("#restore"), "restore", async () => {
    const sure = await confirmPlan(live, name);
    if (sure) act("/restore", sure, () => note(`The restore of ${name} has begun`));
  });
  $("#stop").addEventListener("click", async () => {
    const answer = await post(`/api/v1/restores/${encodeURIComponent(restore?.id ?? "")}/stop`);
    note(answer.done ? "The restore is stopped" : `Not stopped. ${answer.cause.message}`, { bad: !answer.done, detail: answer.cause?.suggestion ?? "" });
  });
  command(live, $("#mark"), "golden", async () => {
    const golden = !isGolden;
    const rows = [["Does", golden ? "its devices show what differs from it, in place of the former golden one of its scope" : "nothing is compared with it any more"]];
    const reason = await withReason(golden ? `Make ${name} golden?` : `Remove the mark of ${name}?`, golden ? "Make golden" : "Remove", rows);
    if (reason) act("/golden", { golden, reason }, drawRecord);
  });
  command(live, $("#delete"), "delete", async () => {
    const reason = await withReason(`Delete ${name}?`, `Delete ${name}`, [["Does", "deletes it; the record of what was done with it stays"]], true);
    if (reason) act("/delete", { reason }, () => location.assign("/snapshots"));
  });
  $("#other").addEventListener("change", (event) => {
    other = event.target.value;
    history.replaceState(null, "", other ? `?with=${encodeURIComponent(other)}` : location.pathname);
    drawRows();
  });
  $("#equal").addEventListener("change", drawRows);
  live.on("change", ({ points, states }) => {
    const state = states[KEY];
    if (state?.snapshot === name) drawProgress(state);
    if (Object.keys(points).some((point) => !saved || saved.has(point))) soon();
  });
  drawRows();
  drawRecord();
}
