// The overview: all alarms, and the state of every partition and device.
import { acknowledge, refusal, withFollowers } from "./alarm-acts.js";
import { mark } from "./acts.js";
import { anew } from "./anew.js";
import { $, $$, setClass, setText } from "./dom.js";
import { disc, NOTHING, value, words } from "./format.js";
import { alarmRow, followLog, glyph, setState } from "./parts.js";
import { Line } from "./series.js";
import { begin, sketch } from "./sparks.js";
import { partitionCards } from "./partition-cards.js";
import { synoptics } from "./synoptic.js";

export function page(live) {
  const cells = new Map($$("[data-point]").map((node) => [node.dataset.point, node]));
  const sparks = new Map(
    $$("[data-spark]").map((node) => [node.dataset.spark, { node, line: new Line(node.dataset.spark) }]),
  );
  const drawing = synoptics(live);
  live.watch = {
    devices: ["*"],
    points: [...new Set([...cells.keys(), ...sparks.keys(), ...drawing.points])],
    states: true,
    events: true,
    partitions: ["*"],
  };
  partitionCards(live);
  acknowledging(live);
  fillRows();
  if ($("#last-runs")) anew(live, ["#last-runs"], () => $("#last-runs [data-open]"));
  followLog(live, $("#log"));
  const draw = () => {
    for (const spark of sparks.values()) sketch(spark, live.nowNs() / 1e9);
  };
  begin(live, sparks).then(draw);
  live.on("missed", () => begin(live, sparks).then(draw));
  live.on("change", (change) => {
    for (const [name, row] of Object.entries(change.points)) {
      sparks.get(name)?.line.take(row, live.nowNs() / 1e9);
      const cell = cells.get(name);
      if (!cell) continue;
      setText(cell, value({ type: cell.dataset.type, precision: Number(cell.dataset.precision) }, row[0]));
      setClass(cell, row[3] ? `f${row[3]}` : "");
    }
    if (Object.keys(change.states).length || change.alive || change.snapshot) states(live);
    if (change.alarms) {
      table(live);
      groups(live);
    }
  });
  let drawn = 0;
  live.on("tick", () => {
    if (live.nowNs() - drawn < 1e9) return;
    drawn = live.nowNs();
    draw();
  });
}

const NARROWEST = 196;
const GAP = 12;

// As many cards in each row as fit, and about as many in the last row as in the others: a row is never nearly empty.
function fillRows() {
  const cards = $("#cards");
  const fill = () => {
    const fit = Math.max(1, Math.floor((cards.clientWidth + GAP) / (NARROWEST + GAP))),
      rows = Math.ceil(cards.childElementCount / fit);
    cards.style.setProperty("--across", String(Math.ceil(cards.childElementCount / Math.max(1, rows))));
  };
  new ResizeObserver(fill).observe(cards);
}

function states(live) {
  for (const card of $$(".dcard")) {
    const device = card.dataset.device,
      state = live.states.get(`device.${device}`);
    setState(
      $(".big.st", card),
      live.alive[device] === false && state ? { ...state, link: "disconnected" } : state,
      true,
    );
  }
  for (const chip of $$("[data-channel]")) {
    const state = live.states.get(`channel.${chip.dataset.channel}`);
    setClass(chip, `chan s-${disc(state)}${state && !state.active ? " ex" : ""}`);
    setText($("small", chip), words(state?.state));
  }
  for (const row of $$("[data-channel-row]")) {
    const state = live.states.get(`channel.${row.dataset.channelRow}`);
    setClass(row, `val s-${disc(state)}${state && !state.active ? " ex" : ""}`);
    setText($("small", row), words(state?.state));
  }
}

function acknowledging(live) {
  const mind = () => {
    const why = refusal(live, "acknowledge");
    for (const button of $$("#alarm-rows [data-acknowledge]")) mark(button, why);
  };
  live.on("link", mind);
  live.on("change", mind);
  $("#alarm-rows").addEventListener("click", (event) => {
    const button = event.target.closest("[data-acknowledge]"),
      alarm = live.alarms.find(({ id }) => id === button?.dataset.acknowledge);
    if (alarm && button.getAttribute("aria-disabled") !== "true") acknowledge(withFollowers(live, alarm), [alarm]);
  });
}

function table(live) {
  setText($("#alarm-total"), live.alarms.length ? String(live.counts.reduce((a, b) => a + b)) : "none");
  setText($("#alarm-waiting"), live.waiting ? `${live.waiting} not acknowledged` : "");
  $("#no-alarms").hidden = live.alarms.length > 0;
  $("#alarm-table").hidden = !live.alarms.length;
  const rows = $("#alarm-rows"),
    key = JSON.stringify(live.alarms);
  if (rows.dataset.key === key) return;
  rows.dataset.key = key;
  rows.replaceChildren(
    ...live.alarms.map((alarm) => alarmRow(alarm)),
  );
  for (const card of $$(".dcard")) {
    const told = live.devices[card.dataset.device]?.priorities ?? [0, 0, 0];
    told.forEach((count, index) => {
      const node = $(`.prios [data-level="${index + 1}"]`, card);
      node.hidden = !count;
      setText($("b", node), String(count));
    });
  }
}

function groups(live) {
  for (const tr of $$("#groups [data-devices]")) {
    for (const word of ["normal", "alarm", "off", "no_link"]) {
      const count = tr.dataset.devices.split(" ").reduce((sum, device) => sum + (live.devices[device]?.[word] ?? 0), 0);
      const td = $(`[data-count="${word}"]`, tr);
      if (td.dataset.now === String(count)) continue;
      td.dataset.now = count;
      const mark = { alarm: 2, no_link: 4 }[word];
      td.replaceChildren(...(count && mark ? [glyph(mark), " "] : []), count ? String(count) : NOTHING);
    }
  }
}
