// The page of a run. Comments and judgements are commands of its partition; the page is loaded again when they are in
// the run book.
import { anew } from "./anew.js";
import { $, data } from "./dom.js";
import { tellPartition } from "./commands.js";
import { runTrend } from "./run-trend.js";

export function page(live) {
  live.watch = { devices: [], points: [], states: false, events: true, partitions: [data.partition] };
  runTrend();
  anew(live, ["#run-head", "#run-cause", "#run-flags", "#run-conditions", "#run-counters", "#run-notes", "#quality"], () => $("#run-head [data-open]"));
  const say = async (command, values, form) => {
    const wrong = $(".wrong", form) ?? $("#comment .wrong");
    wrong.textContent = "";
    if (data.denied[command]) {
      wrong.textContent = data.denied[command].message;
      return;
    }
    const answer = await tellPartition(live, data.partition, command, { values: { run: data.run, ...values } });
    if (!answer.accepted) {
      wrong.textContent = answer.cause.message;
      return;
    }
    const event = await answer.outcome;
    if (event.kind === "done") location.reload();
    else wrong.textContent = event.cause?.message ?? event.message;
  };
  $("#comment").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = event.target.elements.text.value.trim();
    if (text) say("comment", { text }, event.target);
  });
  $("#flag").addEventListener("submit", (event) => {
    event.preventDefault();
    say("flag", { quality: event.target.elements.quality.value }, event.target);
  });
}
