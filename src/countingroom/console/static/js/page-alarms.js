// The page of alarms: the list by priority and time, filters, many at once, and one alarm beside the list.
import { $, $$, el, setText } from "./dom.js";
import { AlarmList } from "./alarm-list.js";
import { AlarmModel, canAcknowledge } from "./alarm-model.js";
import { AlarmSide } from "./alarm-side.js";
import { acknowledge, inService, outOfService, refusal, reset, shelve, unshelve } from "./alarm-acts.js";
import { mark } from "./acts.js";
import { partitionsTold, runsNow } from "./runs-now.js";

const TYPES_TEXT = "input:not([type=checkbox]), textarea, select";

export function page(live) {
  live.watch = { devices: [], points: false, states: false, events: true, partitions: ["", ...partitionsTold()], alarms: true };
  runsNow(live, $("#runs-now"));
  const model = new AlarmModel(),
    side = new AlarmSide(live, $("#alarm-side"), (alarm) => model.withMembers([alarm])),
    ticked = new Set();
  let current = location.hash.slice(1),
    rows = [],
    due = false;
  const filter = { view: "open", priorities: new Set([1, 2, 3, 4]), area: "", text: "" };

  const list = new AlarmList($("#alarm-list"), {
    select: (id) => select(id),
    tick: (id, on) => {
      if (on) ticked.add(id);
      else ticked.delete(id);
      draw();
    },
    fold: (name, open) => {
      model.unfolded.set(name, open);
      draw();
    },
    acknowledge: (ids) => acknowledge(model.withMembers(alarms(ids)), alarms(ids)),
    reset: (ids) => reset(live, alarms(ids)),
    unshelve: (ids) => unshelve(alarms(ids)),
    service: (ids) => inService(live, alarms(ids)),
  });

  const alarms = (ids) => [...ids].map((id) => model.get(id)).filter(Boolean);
  // What a command of the head of the list acts on: what is ticked, else the alarm beside the list.
  const picked = () => alarms(ticked.size ? ticked : current ? [current] : []);

  function select(id) {
    current = id;
    history.replaceState(null, "", `#${id}`);
    draw();
    list.reveal();
  }

  function draw() {
    due = false;
    for (const id of ticked) if (!model.get(id)) ticked.delete(id);
    rows = model.rows(filter);
    // The alarm beside the list stays while it exists: a new one must not take its place under a person who reads.
    if (model.alarms.size && !model.get(current)) current = rows.find((row) => row.alarm)?.alarm.id ?? "";
    list.show(rows, ticked, current, live.nowNs());
    side.show(model.get(current) ?? null);
    head();
  }

  // At most once in a frame, however many messages came.
  function later() {
    if (due) return;
    due = true;
    requestAnimationFrame(draw);
  }

  function head() {
    const counts = model.counts();
    setText($("#open-count"), String(counts.open));
    setText($("#shelved-count"), String(counts.flagged));
    counts.priorities.forEach((count, index) => setText($(`[data-priority="${index + 1}"] b`), String(count)));
    const folded = counts.folded ? `, ${counts.folded} folded` : "";
    setText($("#alarm-sum"), `${counts.open} ${counts.open === 1 ? "alarm" : "alarms"}${folded} · ${counts.waiting} not acknowledged`);
    setText($("#picked"), ticked.size ? `${ticked.size} selected` : "none selected");
    const many = picked(),
      some = many.length > 1 ? ` ${many.length}` : "";
    for (const [name, text, can] of [
      ["acknowledge", `Acknowledge${some}`, many.some(canAcknowledge)],
      ["shelve", `Shelve${some}…`, many.length > 0],
      ["out_of_service", "Out of service…", many.length > 0],
    ]) {
      const button = $(`#many [data-command="${name}"]`);
      setText(button, text);
      mark(button, refusal(live, name) || (can ? "" : many.length ? "None of these waits to be acknowledged." : "Select alarms first."));
    }
    const listed = rows.filter((row) => row.kind === "alarm" || row.kind === "flagged"),
      on = listed.filter((row) => ticked.has(row.key)).length,
      all = $("#tick-all");
    all.checked = on > 0 && on === listed.length;
    all.indeterminate = on > 0 && on < listed.length;
    const nothing = rows.length ? "" : model.alarms.size ? "No alarm matches." : "Nothing is abnormal.";
    $("#no-alarms").hidden = !nothing;
    const calm = $("#no-alarms");
    calm.dataset.calm = nothing;
    setText(calm, live.trusted && live.watched ? nothing : "Whether anything is abnormal is not known.");
    areas();
  }

  function areas() {
    const found = model.areas(),
      key = found.join(" "),
      choice = $("#area");
    if (choice.dataset.key === key) return;
    choice.dataset.key = key;
    choice.replaceChildren(el("option", { value: "" }, "all areas"), ...found.map((one) => el("option", { value: one, selected: one === filter.area }, one)));
    choice.value = filter.area;
  }

  // Filters stand in the address, so that a list can be sent to a colleague.
  function address() {
    const asked = new URLSearchParams();
    if (filter.view !== "open") asked.set("view", filter.view);
    if (filter.priorities.size < 4) asked.set("priority", [...filter.priorities].join(","));
    if (filter.area) asked.set("area", filter.area);
    if (filter.text) asked.set("text", filter.text);
    const query = asked.toString();
    history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
    draw();
  }

  function press() {
    for (const button of $$("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === filter.view));
    for (const button of $$("[data-priority]")) button.setAttribute("aria-pressed", String(filter.priorities.has(Number(button.dataset.priority))));
  }

  function read() {
    const asked = new URLSearchParams(location.search);
    if (["shelved", "all"].includes(asked.get("view"))) filter.view = asked.get("view");
    if (asked.has("priority")) filter.priorities = new Set(asked.get("priority").split(",").map(Number));
    filter.area = asked.get("area") ?? "";
    filter.text = asked.get("text") ?? "";
    $("#contains").value = filter.text;
    press();
  }

  $("#alarm-filter").addEventListener("click", (event) => {
    const { view, priority } = event.target.closest("button")?.dataset ?? {};
    if (view) filter.view = view;
    else if (priority) {
      const number = Number(priority);
      if (!filter.priorities.delete(number)) filter.priorities.add(number);
    } else return;
    press();
    address();
  });
  $("#area").addEventListener("change", (event) => {
    filter.area = event.target.value;
    address();
  });
  $("#contains").addEventListener("input", (event) => {
    filter.text = event.target.value;
    address();
  });
  $("#tick-all").addEventListener("change", (event) => {
    for (const row of rows) {
      if (row.kind !== "alarm" && row.kind !== "flagged") continue;
      if (event.target.checked) ticked.add(row.key);
      else ticked.delete(row.key);
    }
    draw();
  });
  const acts = {
    acknowledge: async () => {
      const able = picked().filter(canAcknowledge);
      const done = await acknowledge(model.withMembers(able), able);
      if (done) ticked.clear();
      later();
    },
    shelve: async () => {
      if ((await shelve(live, picked())) === true) ticked.clear();
      later();
    },
    out_of_service: async () => {
      if ((await outOfService(live, picked())) === true) ticked.clear();
      later();
    },
  };
  const act = (name) => {
    const button = $(`#many [data-command="${name}"]`);
    if (button.getAttribute("aria-disabled") !== "true") acts[name]();
  };
  $("#many").addEventListener("click", (event) => {
    const name = event.target.closest("[data-command]")?.dataset.command;
    if (name) act(name);
  });

  function move(step) {
    const places = rows.filter((row) => row.alarm),
      at = places.findIndex((row) => row.key === current);
    const next = places[Math.max(0, Math.min(places.length - 1, at + step))];
    if (next) select(next.key);
  }

  const keys = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    PageDown: () => move(10),
    PageUp: () => move(-10),
    Home: () => move(-rows.length),
    End: () => move(rows.length),
    ArrowRight: () => fold(true),
    ArrowLeft: () => fold(false),
    " ": () => tickCurrent(),
    a: () => act("acknowledge"),
    A: () => act("acknowledge"),
  };
  function fold(open) {
    const row = rows.find((one) => one.key === current);
    const cause = row?.kind === "member" ? row.cause.id : row?.members ? current : "";
    if (!cause) return;
    model.unfolded.set(cause, open);
    if (!open) current = cause;
    draw();
  }
  function tickCurrent() {
    const row = rows.find((one) => one.key === current);
    if (!row || row.kind === "member") return;
    if (!ticked.delete(current)) ticked.add(current);
    draw();
  }
  addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches(TYPES_TEXT) || !keys[event.key]) return;
    const inList = Boolean(target.closest("#alarm-list"));
    if (!inList && target !== document.body && event.key !== "a" && event.key !== "A") return;
    if (event.key === " " && target.matches("button, #tick-all")) return;
    event.preventDefault();
    keys[event.key]();
  });

  live.on("change", ({ states, snapshot }) => {
    if (model.take(states, snapshot)) later();
    if (!snapshot && Object.keys(states).some((key) => key.startsWith("notification."))) side.sent();
  });
  live.on("link", later);
  setInterval(later, 10_000); // times left of shelves
  read();
  draw();
}
