// On the page of alarms: each partition with a run, and Stop and Abort of it for a person who may give them.
import { data, el, setText } from "./dom.js";
import { Commands } from "./partition-commands.js";
import { Partition } from "./partition-model.js";
import { discOfPartition, setDisc } from "./run-parts.js";

const SAFE = ["stop", "abort"];

export const partitionsTold = () => (data.partitions ?? []).map((one) => one.partition);

export function runsNow(live, place) {
  const rows = (data.partitions ?? []).map((one) => {
    const model = new Partition(live, one),
      disc = el("span", {}, el("span", { class: "dot", "aria-hidden": "true" }), el("b")),
      run = el("span", { class: "mut" }),
      acts = el("span", { class: "acts2", role: "group", "aria-label": `Commands of ${one.partition}` }),
      row = el("div", { class: "al-run", "data-partition": one.partition, hidden: true }, el("a", { href: `/partitions/${encodeURIComponent(one.partition)}` }, one.partition), disc, run, el("span", { class: "sp" }), acts);
    const may = SAFE.some((command) => !model.denied[command]);
    return { model, row, disc, run, may, commands: new Commands(live, model, { place: acts, only: SAFE }) };
  });
  place.replaceChildren(...rows.map(({ row }) => row));
  const refresh = () => {
    for (const { model, row, disc, run, may, commands } of rows) {
      const { state } = model;
      row.hidden = !may || !state?.run;
      if (row.hidden) continue;
      setDisc(disc, model.goneNs ? "no_link" : discOfPartition(state), state.state);
      setText(run, `run ${state.run}`);
      commands.refresh();
    }
    place.hidden = rows.every(({ row }) => row.hidden);
  };
  live.on("change", refresh);
  live.on("link", refresh);
  refresh();
}
