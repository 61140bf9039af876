// Law: the device page shows everything the device says, and lets act only through the panel of what is selected.
import { $, $$, data, el, setText } from "./dom.js";
import { allowed, clock, limits, withUnit, words } from "./format.js";
import { Buttons } from "./buttons.js";
import { Grid } from "./grid.js";
import { LEVELS, followLog, glyph, setState } from "./parts.js";
import { Line, past } from "./series.js";
import { setpoint } from "./setpoint.js";
import { Trend } from "./trend.js";

const SPAN_S = 600;
const MOST_CAUSES = 3;

// A cause with those under it, in one line.
function sentence(cause) {
  const under = (cause.causes ?? []).slice(0, MOST_CAUSES).map(sentence);
  return [cause.message + (cause.suggestion ? ` → ${cause.suggestion}` : ""), ...under].join(" · ");
}

export function page(live) {
  const { device, catalogue } = data;
  const points = new Map(catalogue.points.map((point) => [point.name, { type: "float", precision: 2, ...point }]));
  const title = catalogue.title || device;
  document.body.dataset.device = device;
  live.watch = { devices: [device], points: true, states: true, events: true };
  for (const [channel, state] of Object.entries(data.states)) live.states.set(channel ? `channel.${device}.${channel}` : `device.${device}`, state);
  for (const [name, row] of Object.entries(data.rows)) live.points.set(`${device}.${name}`, row);
  const stateOf = (channel) => live.states.get(channel ? `channel.${device}.${channel}` : `device.${device}`);
  const row = (name) => live.points.get(`${device}.${name}`);
  const commands = (scope) => catalogue.commands.filter((command) => command.scope === scope);

  const own = new Buttons(live, $("#device-commands"), { device, title, commands: commands("device"), state: () => stateOf("") });
  const trend = document.body.dataset.vendored === "yes" ? new Trend($("#trend"), { height: 236 }) : null;
  let panel = null, line = null, chosen = null;

  async function draw(name) {
    const point = points.get(name), about = { label: named(point), unit: point.unit ?? "", precision: point.precision, deadband: point.deadband, limits: point.limits, steps: point.type !== "float" };
    setText($("#trend-title"), `${named(point)}, last 10 min`);
    $("#trend-open").href = `/trends?point=${encodeURIComponent(`${device}.${name}`)}`;
    const mine = line = new Line(`${device}.${name}`);
    if (!trend) return setText($("#trend"), "The drawing library is not installed.");
    const now = live.nowNs();
    let why = "";
    try { const [series] = await past([mine.name], now - SPAN_S * 1e9, now, 600); if (series) mine.begin(series); } catch (error) { why = error.message; }
    if (line !== mine) return;
    const last = row(name);
    if (last) mine.take(last);
    await trend.show([mine], { [mine.name]: about });
    if (why) $("#trend").append(el("p", { class: "hint nothing" }, `${why}: drawn from now on.`));
    redraw();
  }

  const named = (point) => (point.channel ? `ch ${point.channel} ` : "") + (point.label || point.column || point.name);
  const redraw = () => { if (line && trend) { const now = live.nowNs() / 1e9; trend.draw(now - SPAN_S, now, live.trusted ? now : 0); } };

  function select({ channel, point: name }) {
    const point = points.get(name) ?? catalogue.points.map((one) => points.get(one.name)).find((one) => one.channel === channel && one.type === "float" && !one.writable);
    if (!point) return;
    if (chosen !== point.name) draw(point.name);
    chosen = point.name;
    history.replaceState(null, "", `#${name ?? channel}`);
    const settable = setterOf(point);
    const inChannel = channel ? catalogue.points.map((one) => points.get(one.name)).filter((one) => one.channel === channel && one.writable && one.main !== false && one !== settable) : [];
    const form = settable ? setpoint(live, { device, title: channel ? `${title} channel ${channel}` : title, point: settable, channel: settable.channel ?? "", now: () => row(settable.name)?.[0] ?? null, rate: () => rateOf(settable), state: () => stateOf(settable.channel ?? "") }) : null;
    const acts = el("div", { class: "acts2", role: "group", "aria-label": "Commands of the channel" });
    const facts = el("dl", { class: "dl" });
    setText($("#sel-title"), channel ? `Channel ${channel}${catalogue.channel_labels[channel] ? ` · ${catalogue.channel_labels[channel]}` : ""}` : named(point));
    const others = inChannel.length ? el("p", { class: "hint" }, "Settable here: ", ...inChannel.flatMap((one, index) => [index ? ", " : "", el("a", { href: `#${one.name}` }, one.label || one.column)])) : null;
    $("#sel").replaceChildren(...[facts, form?.form, channel ? acts : null, others].filter(Boolean));
    const buttons = channel ? new Buttons(live, acts, { device, title: `${title} channel ${channel}`, commands: commands("channel"), channel, state: () => stateOf(channel) }) : null;
    panel = { point, channel, settable, form, facts, buttons };
    refresh();
  }

  // What sets this value: itself, the point it is the readback of, or in its channel the setting of the same kind and unit.
  function setterOf(point) {
    if (point.writable) return point;
    const all = catalogue.points.map((one) => points.get(one.name)).filter((one) => one.writable);
    const kin = (one) => one.channel && one.channel === point.channel && one.main !== false && one.unit && one.unit === point.unit && one.column.split("_")[0] === point.column.split("_")[0];
    return all.find((one) => one.readback === point.name) ?? all.find(kin);
  }

  function rateOf(point) {
    const rate = point.rate && points.get(point.rate), given = rate && row(rate.name)?.[0];
    return rate && typeof given === "number" && given > 0 ? { point: rate, value: given } : null;
  }

  function refresh() {
    own.refresh();
    if (!panel) return;
    panel.buttons?.refresh();
    panel.form?.refresh();
    const { point, channel, settable, facts } = panel, now = row(point.name), state = stateOf(channel);
    const told = [["Value", withUnit(point, now?.[0])]];
    if (now?.[1]) told.push(["Quality", ["good", "uncertain", "stale", "bad"][now[1]]]);
    if (channel) told.push(["State", words(state?.state)]);
    if (point.description) told.push(["Meaning", point.description]);
    if (limits(point)) told.push(["Limits", limits(point)]);
    if (settable && settable !== point) told.push(["Setpoint", withUnit(settable, row(settable.name)?.[0])]);
    if (settable && allowed(settable)) told.push(["Allowed", allowed(settable)]);
    if (state?.cause && channel) told.push(["Cause", state.cause.message]);
    const key = JSON.stringify(told);
    if (facts.dataset.key !== key) {
      facts.dataset.key = key;
      facts.replaceChildren(...told.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]));
    }
    const level = now?.[3] ?? 0;
    if ($("#sel-alarm").dataset.level !== String(level)) {
      $("#sel-alarm").dataset.level = level;
      $("#sel-alarm").replaceChildren(...(level ? [glyph(level), ` ${LEVELS[level]}`] : []));
    }
  }

  function states() {
    const state = stateOf("");
    setState($(".head > .st"), live.alive[device] === false && state ? { ...state, link: "disconnected" } : state, true);
    if (state) setText($("#since"), clock(state.since_ns));
    const channels = catalogue.channels.map(stateOf).filter((one) => one?.active);
    setText($("#channels-on"), `${channels.filter((one) => one.common === "on").length} of ${channels.length}`);
    const cause = live.alive[device] === false ? { message: "Nobody answers for this device: its device host is gone. The values below are the last that were heard." } : state?.cause;
    const banner = $("#cause");
    banner.hidden = !cause;
    banner.className = `banner cause ${state?.link === "connected" && live.alive[device] !== false ? "" : "l2"}`;
    if (cause) setText(banner, sentence(cause));
    for (const node of $$("#fsm .state")) {
      const present = node.dataset.state === state?.state;
      node.classList.toggle("present", present);
      setText($("text", node), (present ? "▶ " : "") + node.dataset.state);
    }
  }

  $("#fsm-large")?.addEventListener("click", () => {
    const dialog = $("#confirm"), close = el("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Close");
    dialog.classList.add("wide");
    dialog.onclose = () => { dialog.classList.remove("wide"); dialog.replaceChildren(); };
    dialog.replaceChildren(el("h2", { id: "confirm-title" }, `State machine of ${title}`), el("div", { class: "fsm" }, $("#fsm svg").cloneNode(true)), el("div", { class: "bd acts" }, close));
    dialog.showModal();
  });
  const grid = new Grid(live, { device, points, channels: catalogue.channels, select });
  followLog(live, $("#log"));
  live.on("change", (change) => {
    grid.take(change.points);
    if (Object.keys(change.states).length || change.alive || change.snapshot) { grid.states(); states(); }
    const news = line && change.points[line.name];
    if (news) line.take(news);
    refresh();
  });
  live.on("link", () => { refresh(); states(); });
  let second = 0;
  live.on("tick", () => {
    const now = live.nowNs();
    if (now - second < 5e8) return;
    second = now;
    grid.ages(now);
    redraw();
  });
  const firstValue = () => {
    const cells = $$(".lg tbody tr:not(.ex) td[data-p]:not(.rest)");
    const tells = (td) => { const point = points.get(td.dataset.p.slice(device.length + 1)); return point?.type === "float" && !point.writable; };
    return cells.find(tells) ?? cells[0];
  };
  const goTo = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const cell = wanted ? $(`td[data-p="${CSS.escape(`${device}.${wanted}`)}"]`) ?? $(`tr[data-channel="${CSS.escape(wanted)}"] td[data-p]`) : null;
    if (cell?.classList.contains("rest") || cell?.parentElement.classList.contains("rest")) { $("#all-values").checked = true; $(".gridbox").classList.remove("hide-rest"); }
    grid.choose(cell || firstValue());
  };
  addEventListener("hashchange", goTo);
  goTo();
  states();
}
