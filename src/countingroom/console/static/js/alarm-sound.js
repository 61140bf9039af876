// The sound of alarms: one for each priority that a person chose in this browser, and again while the alarm is not
// acknowledged. It can be silenced for at most half an hour, with a mark on every page, and never for ever.
import { $, el, setText } from "./dom.js";
import { WAITING } from "./alarm-model.js";
import { Sound } from "./sound.js";

const KEY = "alarm-sound";
const HEARD = "alarm-heard";
const AGAIN_MS = 60_000;
const LOOK_MS = 1000;
const CHOICES_MIN = [5, 15, 30];
export const LONGEST_MS = CHOICES_MIN.at(-1) * 60_000;
const PRIORITIES = ["", "high", "medium", "low"];
// [begin in s, frequency in Hz]: the more urgent, the more tones, and the higher.
const TONES = [
  [],
  [
    [0, 880],
    [0.22, 1175],
    [0.44, 880],
    [0.66, 1175],
  ],
  [
    [0, 740],
    [0.25, 988],
  ],
  [[0, 523]],
];

function read(storage, key, otherwise) {
  try {
    return JSON.parse(storage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise; // storage is denied, or holds something else
  }
}

function keep(storage, key, value) {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    /* it holds for this page */
  }
}

// What is kept, made right: an end beyond the longest silence is none that a person could have chosen.
export function chosen(kept, nowMs) {
  const on = Array.isArray(kept?.on) ? kept.on.filter((one) => one === 1 || one === 2 || one === 3) : [],
    until = Number(kept?.until) || 0;
  return { on, until: until > nowMs && until <= nowMs + LONGEST_MS ? until : 0 };
}

// The alarms that are to be heard now: [{key, level}], the most urgent first. heard: key -> when it was heard last.
export function toBeHeard(alarms, { on, until }, heard, nowMs) {
  if (until > nowMs) return [];
  return alarms
    .filter((one) => one.after_ns === null && WAITING.includes(one.base) && on.includes(one.level))
    .map(({ id, occurrence, level }) => ({ key: `${id} ${occurrence}`, level }))
    .filter(({ key }) => nowMs - (heard[key] ?? -Infinity) >= AGAIN_MS)
    .sort((a, b) => a.level - b.level);
}

export function alarmSound(live) {
  const button = $("#sound");
  let choice = chosen(read(localStorage, KEY, {}), Date.now()),
    heard = read(sessionStorage, HEARD, {}),
    waits = false;
  const sounds = TONES.map((tones) => new Sound((on) => ((waits = on), mark()), tones));

  function choose(change) {
    choice = chosen({ ...choice, ...change }, Date.now());
    keep(localStorage, KEY, choice);
    if (choice.until || !choice.on.length) for (const one of sounds) one.forget();
    look();
  }

  function mark() {
    const left = Math.ceil((choice.until - Date.now()) / 60_000),
      names = choice.on.map((one) => PRIORITIES[one]).join(", ");
    const text = !choice.on.length ? "Sound off" : left > 0 ? `Silenced ${left} min` : waits ? "Sound: press a key" : `Sound: ${names}`;
    setText($(".told", button), text);
    button.classList.toggle("on", choice.on.length > 0);
    button.classList.toggle("silenced", choice.on.length > 0 && (left > 0 || waits));
    button.title = waits && left <= 0 ? "This browser plays the sound after the page was used." : "Which alarms are heard in this browser";
  }

  function look() {
    const now = Date.now();
    if (choice.until && choice.until <= now) choice = chosen(choice, now);
    const found = live.trusted ? toBeHeard(live.alarms, choice, heard, now) : [];
    if (found.length) {
      for (const { key } of found) heard[key] = now;
      const present = new Set(live.alarms.map(({ id, occurrence }) => `${id} ${occurrence}`));
      heard = Object.fromEntries(Object.entries(heard).filter(([key]) => present.has(key)));
      keep(sessionStorage, HEARD, heard);
      sounds[found[0].level].play();
    } else if (!live.alarms.some((one) => WAITING.includes(one.base))) for (const one of sounds) one.forget();
    mark();
  }

  function open() {
    const dialog = $("#confirm"),
      close = () => dialog.close();
    const box = (level) =>
      el("div", {}, el("label", {}, el("input", { type: "checkbox", checked: choice.on.includes(level), onchange: (event) => choose({ on: event.target.checked ? [...choice.on, level].sort() : choice.on.filter((one) => one !== level) }) }), ` ${PRIORITIES[level]} priority`), el("button", { class: "btn small", type: "button", "aria-label": `Listen to ${PRIORITIES[level]}`, onclick: () => sounds[level].play() }, "Listen"));
    const silence = (minutes) => el("button", { class: "btn", type: "button", onclick: () => (choose({ until: Date.now() + minutes * 60_000 }), close()) }, `Silence ${minutes} min`);
    dialog.replaceChildren(
      el("h2", { id: "confirm-title" }, "Sound of alarms"),
      el(
        "div",
        { class: "bd sounds" },
        el("p", { class: "hint" }, "A new alarm is heard in this browser, and again each minute until it is acknowledged."),
        el("div", { class: "boxes", role: "group", "aria-label": "Alarms that are heard" }, ...[1, 2, 3].map(box)),
        el("div", { class: "acts2", role: "group", "aria-label": "Silence for a time" }, ...CHOICES_MIN.map(silence), choice.until ? el("button", { class: "btn primary", type: "button", onclick: () => (choose({ until: 0 }), close()) }, "End the silence") : null),
        el("div", { class: "acts" }, el("button", { class: "btn", type: "button", onclick: close }, "Close")),
      ),
    );
    dialog.onclose = () => button.focus();
    dialog.oninput = dialog.onkeydown = null;
    dialog.showModal();
    $("input", dialog).focus();
  }

  button.addEventListener("click", open);
  live.on("change", ({ alarms }) => alarms && look());
  addEventListener("storage", ({ key }) => {
    if (key !== KEY) return;
    choice = chosen(read(localStorage, KEY, {}), Date.now());
    look();
  });
  setInterval(look, LOOK_MS);
  mark();
}
