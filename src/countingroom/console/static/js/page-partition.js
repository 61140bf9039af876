// The page of a partition: its state, why it does not proceed, and its commands; kept current by the live feed.
import { Chart } from "./chart.js";
import { Counts } from "./counts.js";
import { $, data, el, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { Commands, Control } from "./partition-commands.js";
import { Partition } from "./partition-model.js";
import { Systems } from "./partition-table.js";
import { followLog } from "./parts.js";
import { discOfPartition, goneWords, setDisc } from "./run-parts.js";

const DRAW_NS = 5e8;

export function page(live) {
  const model = new Partition(live, data);
  live.watch = { devices: [], points: [], states: false, events: true, partitions: [model.name] };
  const commands = new Commands(live, model),
    send = (...asked) => commands.send(...asked),
    control = new Control(live, model, send),
    systems = new Systems(live, model, (command, system) => commands.member(command, system)),
    counts = new Counts();
  followLog(live, $("#log"));
  const chart = new Chart(model.name);

  const refresh = () => {
    if (!model.state) {
      setText($("#cause-text"), "This partition is gone.");
      $("#cause").hidden = false;
      commands.refresh();
      return;
    }
    head(model);
    chart.show(model.state.state);
    causeOf(model, commands);
    systems.refresh();
    control.refresh();
    commands.refresh();
    if (live.up) counts.take(model.state.run, model.state.members.map((one) => model.report(one)), live.nowNs());
    setText($("#events"), counts.events);
    setText($("#rate"), counts.rate);
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
}

// Why it does not proceed, with the commands that help: reset or exclude the system that blocks it.
function causeOf(model, commands) {
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
  const inError = lost && (lost.seen === "Error" || model.report(lost)?.common === "Error");
  const helps = lost ? (inError ? ["reset", "exclude"] : ["exclude"]) : [];
  const rows = model.commandsAt("system").filter((row) => helps.includes(row.name) && !model.why(row.name));
  const key = JSON.stringify([lost?.system, rows.map((row) => row.name)]);
  const place = $("#cause-acts");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(
    ...rows.map((row) =>
      el("button", { class: "btn", type: "button", onclick: () => commands.member(row.name, lost.system) }, `${row.label} ${lost.system}`),
    ),
  );
}
