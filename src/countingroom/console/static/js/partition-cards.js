// The cards of partitions on the overview, kept current. When partitions are created or deleted the page offers to load
// again.
import { $, $$, data, setClass, setText } from "./dom.js";
import { Counts } from "./counts.js";
import { clock } from "./format.js";
import { Commands } from "./partition-commands.js";
import { Partition } from "./partition-model.js";
import { discOf, discOfPartition, goneWords, holderOf, reportOf, setDisc } from "./run-parts.js";
import { note } from "./shell.js";

export function partitionCards(live) {
  const cards = new Map($$(".pcard").map((card) => [card.dataset.partition, card]));
  const counts = new Map([...cards.keys()].map((name) => [name, new Counts()]));
  const commands = new Map(
    (data.partitions ?? []).map((one) => [
      one.partition,
      new Commands(live, new Partition(live, one), { place: $(".cmds", cards.get(one.partition)), brief: true }),
    ]),
  );
  live.on("link", () => commands.forEach((one) => one.refresh()));
  let told = false;
  live.on("change", () => {
    const there = [...live.states.keys()].filter((key) => key.startsWith("partition.")).map((key) => key.slice(10));
    for (const name of there)
      if (cards.has(name)) refresh(live, cards.get(name), live.states.get(`partition.${name}`), counts.get(name));
    commands.forEach((one) => one.refresh());
    if (told || (there.length === cards.size && there.every((name) => cards.has(name)))) return;
    told = true;
    if (!cards.size) location.reload();
    else note("Partitions came or went.", { action: ["Load again", () => location.reload()] });
  });
}

function refresh(live, card, partition, counts) {
  const told = live.partitions[partition.partition],
    goneNs = told?.gone_ns;
  card.classList.toggle("lost", Boolean(goneNs));
  $(".gone", card).hidden = !goneNs;
  setText($(".gone", card), goneNs ? goneWords(goneNs) : "");
  setDisc($(".big.st", card), goneNs ? "no_link" : discOfPartition(partition), partition.state, true);
  if (live.up) counts.take(partition.run, partition.members.map((one) => reportOf(live, partition.partition, one)), live.nowNs());
  for (const node of $$("[data-running]", card)) node.hidden = !partition.run;
  const { events, rate } = counts;
  const facts = {
    run: String(partition.run || "–"),
    events,
    rate,
    tag: partition.tag || "none",
    holder: `${holderOf(live.states.get(`control.${partition.partition}`), live.nowNs()) || "no user"} in control`,
    since: clock(partition.since_ns),
  };
  for (const [name, text] of Object.entries(facts)) setText($(`[data-fact="${name}"]`, card), text);
  for (const member of partition.members) {
    const chip = $(`[data-system="${CSS.escape(member.system)}"]`, card);
    if (!chip) continue;
    setClass(chip, `chip s-${discOf(member.seen)}${member.included ? "" : " ex"}`);
    if (chip.title !== member.own) chip.title = member.own;
  }
  (told?.priorities ?? [0, 0, 0]).forEach((count, index) => {
    const node = $(`.prios [data-level="${index + 1}"]`, card);
    node.hidden = !count;
    setText($("b", node), String(count));
  });
}
