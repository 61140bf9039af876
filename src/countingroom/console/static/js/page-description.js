// The page of the description in force: which processes have it, and whether the files on disk differ from it. The files
// are looked at when an administrator opens the page, when another version is in force, and by the plan.
import { $, data, el, setText } from "./dom.js";
import { mark } from "./acts.js";
import { clock, moment } from "./format.js";
import { RELOAD, found } from "./reload-words.js";
import { planReload } from "./reload-plan.js";
import { ask } from "./snapshot-words.js";

const KEY = "in_force";

export function page(live) {
  live.watch = { devices: ["*"], points: [], states: true, events: true, partitions: [""] };
  const denied = data.denied_reload,
    plan = $("#show-plan");
  let state = data.in_force,
    looks = 0,
    wasLost = false;

  function draw() {
    const facts = state
      ? [["version", String(state.version)], ["fingerprint", state.digest], ["since", `${moment(state.since_ns)} UTC`], state.by ? ["reloaded by", state.by] : ["from", "the start of countingroom up"]]
      : [["version", "not known"]];
    $("#facts").replaceChildren(...facts.map(([name, text]) => el("div", { class: "kv" }, el("i", {}, name), el("b", {}, text))));
    const all = Object.entries(state?.processes ?? {}),
      behind = all.filter(([, version]) => version !== state.version);
    $("#processes").replaceChildren(
      ...all.map(([name, version]) => {
        const late = version !== state.version;
        return el(
          "tr",
          { class: late ? "behind" : null, "data-process": name },
          el("td", {}, name),
          el("td", { class: "num" }, String(version)),
          el("td", {}, late ? el("span", { class: "dashed", "aria-hidden": "true" }) : null, late ? `does not have version ${state.version} yet` : "has it"),
        );
      }),
    );
    setText($("#behind"), !all.length ? "" : behind.length ? `${behind.length} of ${all.length} do not have it yet` : `all ${all.length} have it`);
    $("#not-told").hidden = Boolean(state);
  }

  // Tells an administrator what the files on disk are, compared with what is in force.
  async function look() {
    const banner = $("#on-disk"),
      same = $("#on-disk-same");
    if (denied || !state) return;
    const mine = ++looks;
    same.hidden = false;
    banner.hidden = true;
    setText(same, "Looking at the files on disk…");
    let why = "";
    const told = await ask(`${RELOAD}/plan`, (message, suggestion) => (why = suggestion ? `${message}; ${suggestion}` : message));
    if (mine !== looks) return;
    if (told) show(told);
    else setText(same, why);
  }

  function show(told) {
    const banner = $("#on-disk"),
      same = $("#on-disk-same"),
      differs = found(told);
    banner.hidden = !differs;
    // Edited files are an ordinary thing; mistakes in them are not.
    banner.className = told.mistakes.length ? "banner cause l2" : "banner asks";
    same.hidden = Boolean(differs);
    if (differs) banner.replaceChildren(el("span", {}, `Description changed on disk: ${differs}`));
    else setText(same, `The description on disk is the one in force (looked at ${clock(live.nowNs())} UTC).`);
  }

  const judge = () => mark(plan, denied ? because(denied) : live.trusted ? "" : "The link is lost: commands are disabled.");
  const because = (cause) => cause.message + (cause.suggestion ? `; ${cause.suggestion}` : "");
  $("#read-only").hidden = !denied;
  if (denied) setText($("#read-only"), `You can look at what is in force. The plan and the reload are not for you: ${because(denied)}.`);
  plan.addEventListener("click", async () => {
    if (plan.getAttribute("aria-disabled") === "true") return;
    await planReload(live, { now: () => state, told: show });
    plan.focus();
  });
  live.on("link", () => {
    judge();
    if (live.trusted && wasLost) look(); // a look that the restart of the console cut off
    wasLost = !live.trusted;
  });
  live.on("change", ({ states, snapshot }) => {
    if (!(KEY in states) && !snapshot) return;
    const before = state;
    state = live.states.get(KEY) ?? null;
    if (JSON.stringify(before) === JSON.stringify(state)) return;
    draw();
    if (before?.digest !== state?.digest) look();
  });
  draw();
  judge();
  look();
}
