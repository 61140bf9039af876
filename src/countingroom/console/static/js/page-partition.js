// Law: the page of a partition says how it stands, why it does not get on, and what may be done; it stays true by the
// feed.
import { $, $$, data, el, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { Commands, Control } from "./partition-commands.js";
import { Partition } from "./partition-model.js";
import { Systems } from "./partition-table.js";
import { followLog } from "./parts.js";
import { discOfPartition, goneWords, grouped, hertz, setDisc } from "./run-parts.js";

const DRAW_NS = 5e8;
const RATE_S = 0.9; // over less, how reports arrive would be measured

export function page(live) {
  const model = new Partition(live, data);
  live.watch = { devices: [], points: [], states: false, events: true, partitions: [model.name] };
  const commands = new Commands(live, model),
    send = (...asked) => commands.send(...asked),
    control = new Control(live, model, send),
    systems = new Systems(live, model, (command, values) => send(command, values, null)),
    counts = new Counts(model);
  followLog(live, $("#log"));
  $("#fsm-large").addEventListener("click", () => enlarge(model.name));

  const refresh = () => {
    if (!model.state) {
      setText($("#cause-text"), "This partition is gone.");
      $("#cause").hidden = false;
      commands.refresh();
      return;
    }
    head(model);
    causeOf(model, send);
    systems.refresh();
    control.refresh();
    commands.refresh();
    if (live.up) counts.take(live.nowNs());
  };
  live.on("change", refresh);
  live.on("link", refresh);
  let drawn = 0;
  live.on("tick", () => {
    const now = live.nowNs();
    if (now - drawn < DRAW_NS) return;
    drawn = now;
    systems.ages(now);
  });
  refresh();
  toView($("#fsm .present") ?? $("#fsm .state"));
}

function head(model) {
  const { state } = model;
  for (const node of [$(".card.head"), $(".systems")]) node.classList.toggle("lost", Boolean(model.goneNs));
  setDisc($(".head > .st"), model.goneNs ? "no_link" : discOfPartition(state), state.state, true);
  const run = $("#run");
  if (run.dataset.now !== String(state.run)) {
    run.dataset.now = state.run;
    run.replaceChildren(state.run ? el("a", { href: `/runs/${state.run}` }, String(state.run)) : "–");
  }
  $("#goal-kv").hidden = !state.goal;
  setText($("#goal"), state.goal ? words(state.goal.state) : "");
  setText($("#tag"), state.tag || "none");
  setText($("#since"), clock(state.since_ns));
  for (const node of $$("#fsm .state")) {
    const present = node.dataset.state === state.state;
    if (present && !node.classList.contains("present")) toView(node);
    node.classList.toggle("present", present);
    setText($("text", node), (present ? "▶ " : "") + node.dataset.state);
  }
}

// The state machine is higher than its card: what is present is in its middle.
function toView(node) {
  const place = $("#fsm"),
    box = node.getBoundingClientRect(),
    around = place.getBoundingClientRect();
  place.scrollTop += box.top - around.top - (around.height - box.height) / 2;
  place.scrollLeft += box.left - around.left - (around.width - box.width) / 2;
}

// Why it does not get on, with what helps: resetting or excluding who stands in the way.
function causeOf(model, send) {
  const { state } = model,
    banner = $("#cause"),
    worst = state.members.filter((one) => model.level(one) === 1 || model.level(one) === 2);
  const lost = worst[0];
  const message = model.goneNs
    ? goneWords(model.goneNs)
    : state.cause
    ? state.cause.message + (state.cause.suggestion ? ` → ${state.cause.suggestion}` : "")
    : lost
      ? `${lost.system} is ${lost.seen}${lost.cause ? `: ${lost.cause.message}` : ""}`
      : "";
  banner.hidden = !message;
  banner.classList.toggle("l2", !worst.some((one) => model.level(one) === 1));
  setText($("#cause-text"), message);
  const acts = [];
  for (const one of worst.slice(0, 1)) {
    if (one.seen === "Error" || model.report(one)?.common === "Error") acts.push(["reset", `Reset ${one.system}`, one.system]);
    acts.push(["exclude", `Exclude ${one.system}`, one.system]);
  }
  const shown = acts.filter(([command]) => !model.why(command));
  const key = JSON.stringify(shown);
  const place = $("#cause-acts");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(
    ...shown.map(([command, label, system]) =>
      el("button", { class: "btn", type: "button", onclick: () => send(command, { system }, null) }, label),
    ),
  );
}

// Events so far and their rate, from the counters that systems report: the one that saw most.
class Counts {
  constructor(model) {
    this.model = model;
    this.before = null;
  }

  take(nowNs) {
    const { state } = this.model;
    const counted = state.members.map((one) => this.model.report(one)?.counters?.events ?? -1);
    const most = Math.max(-1, ...counted);
    setText($("#events"), state.run && most >= 0 ? grouped(most) : "–");
    if (!state.run || most < 0) {
      this.before = null;
      setText($("#rate"), "–");
      return;
    }
    const { before } = this,
      same = before?.run === state.run && most >= before.count,
      passed = same ? (nowNs - before.at) / 1e9 : 0;
    if (same && (passed < RATE_S || most === before.count)) return;
    if (same) setText($("#rate"), hertz((most - before.count) / passed));
    this.before = { run: state.run, count: most, at: nowNs };
  }
}

function enlarge(name) {
  const dialog = $("#confirm");
  const close = el("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Close");
  dialog.classList.add("wide");
  dialog.onclose = () => {
    dialog.classList.remove("wide");
    dialog.replaceChildren();
  };
  dialog.replaceChildren(
    el("h2", { id: "confirm-title" }, `State machine of ${name}`),
    el("div", { class: "fsm", tabindex: "0" }, $("#fsm svg").cloneNode(true)),
    el("div", { class: "bd acts" }, close),
  );
  dialog.showModal();
}
