// The page of a device: all its values. Commands are given in the head and in the panel of the selected value alone.
import { $, $$, data } from "./dom.js";
import { columns } from "./columns.js";
import { Head } from "./device-head.js";
import { Model } from "./device-model.js";
import { golden } from "./golden.js";
import { Grid } from "./grid.js";
import { Panel } from "./panel.js";
import { followLog } from "./parts.js";
import { Recent } from "./recent.js";
import { StateTimeline } from "./state-timeline.js";

const DRAW_NS = 5e8;

export function page(live) {
  const model = new Model(live, data);
  const { device, points, channels } = model;
  document.body.dataset.device = device;
  live.watch = { ...watched(model), states: true, events: true };

  columns(live, data.catalogue.driver);
  const head = new Head(live, model);
  const panel = new Panel(live, model);
  const recent = new Recent(live, model);
  new StateTimeline(live, model);
  const select = ({ channel, point: name }) => {
    const point = points.get(name) ?? model.of(channel).find((one) => one.type === "float" && !one.writable) ?? model.of(channel)[0];
    if (!point) return;
    history.replaceState(null, "", `#${name ?? channel}`);
    recent.show(point);
    panel.show(point, channel);
  };
  const grid = new Grid(live, { device, points, channels, select });
  followLog(live, $("#log"));
  const standard = golden(live, device);
  standard.draw();

  const refresh = () => {
    head.refresh();
    panel.refresh();
  };
  live.on("change", (change) => {
    grid.take(change.points);
    if (Object.keys(change.points).some((name) => points.get(name.slice(device.length + 1))?.writable)) standard.soon();
    recent.take(change.points);
    if (Object.keys(change.states).length || change.alive || change.snapshot) {
      grid.states();
      head.states();
    }
    refresh();
  });
  live.on("link", () => {
    refresh();
    head.states();
  });
  let drawn = 0;
  live.on("tick", () => {
    const now = live.nowNs();
    if (now - drawn < DRAW_NS) return;
    drawn = now;
    grid.ages(now);
    recent.draw();
  });

  const goTo = () =>
    grid.choose(cellOf(device, decodeURIComponent(location.hash.slice(1))) ?? worst(model) ?? firstMeasured(device, points));
  addEventListener("hashchange", goTo);
  goTo();
  head.states();
}

// All points of the device, and those of others that its points are computed from.
function watched({ device, points, inputs }) {
  const others = [...inputs.keys()].filter((address) => !address.startsWith(`${device}.`)),
    devices = new Set([device, ...others.map((address) => address.split(".", 1)[0])]);
  if (devices.size === 1) return { devices: [device], points: true };
  return { devices: [...devices], points: [...[...points.keys()].map((name) => `${device}.${name}`), ...others] };
}

// The cell that an address names by point or channel; values that are hidden are shown for it.
function cellOf(device, wanted, reveal = true) {
  if (!wanted) return null;
  const byPoint = $(`td[data-p="${CSS.escape(`${device}.${wanted}`)}"]`);
  const cell = byPoint ?? $(`tr[data-channel="${CSS.escape(wanted)}"] td[data-p]`);
  if (reveal && cell?.closest(".rest")) {
    $("#all-values").checked = true;
    $(".gridbox").classList.remove("hide-rest");
  }
  return cell;
}

const URGENCY = [0, 4, 3, 2, 0];

// The cell of the most urgent value; where only a channel is in error, its first measured value.
function worst(model) {
  const { device, points } = model;
  let found = null,
    most = 0;
  for (const name of points.keys()) {
    const urgent = URGENCY[model.row(name)?.[3] ?? 0];
    if (urgent > most && cellOf(device, name, false)) [found, most] = [name, urgent];
  }
  const broken = model.channels.find((channel) => model.state(channel)?.active && model.state(channel).common === "error");
  if (broken !== undefined && most < URGENCY[1]) {
    const own = model.of(broken).find((point) => point.type === "float" && !point.writable && point.main !== false);
    return cellOf(device, own?.name ?? broken);
  }
  return found && cellOf(device, found);
}

// The point that is selected first: a measured number.
function firstMeasured(device, points) {
  const cells = $$(".lg tbody tr:not(.ex) td[data-p]:not(.rest)");
  const measured = (td) => {
    const point = points.get(td.dataset.p.slice(device.length + 1));
    return point?.type === "float" && !point.writable;
  };
  return cells.find(measured) ?? cells[0];
}
