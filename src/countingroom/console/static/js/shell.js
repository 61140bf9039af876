// The frame of every page: time, number of alarms, worst level of each branch of the navigation, state of the link,
// notes.
import { $, $$, el, setClass, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { alarmBar, newest } from "./alarm-bar.js";
import { barItem, setGlyph } from "./parts.js";

const BAR = 3;

export const titles = Object.fromEntries(
  $$(".nav [data-device]").map((a) => [a.dataset.device, $(".ell", a).textContent]),
);

export function shell(live) {
  alarmBar(live);
  $("#theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      /* it holds for this page */
    }
    document.dispatchEvent(new Event("theme"));
  });
  menu();
  setInterval(() => setText($("#utc"), clock(live.nowNs())), 250);
  live.on("change", (change) => {
    if (change.alarms) alarms(live);
    front(live);
  });
  live.on("link", () => link(live));
  live.on("catalogue", outdated);
}

// On a narrow screen the navigation is behind a button.
function menu() {
  const button = $("#menu"),
    more = $("#more");
  let by = button;
  const open = (on) => {
    for (const one of [button, more]) one.setAttribute("aria-expanded", String(on));
    $("#nav").classList.toggle("open", on);
  };
  for (const one of [button, more])
    one.addEventListener("click", () => {
      by = one;
      open(button.getAttribute("aria-expanded") !== "true");
    });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && button.getAttribute("aria-expanded") === "true") {
      open(false);
      by.focus();
    }
  });
}

// Devices were added, removed or changed: an empty overview is loaded again, other pages show a note.
let told = false;
function outdated(digests) {
  const shown = Object.fromEntries($$(".nav [data-device]").map((a) => [a.dataset.device, a.dataset.digest]));
  const mine = document.body.dataset.device;
  const names = (of) => Object.keys(of).sort().join(" ");
  if (told || (names(digests) === names(shown) && (!mine || !shown[mine] || digests[mine] === shown[mine]))) return;
  told = true;
  if (!names(shown) && document.body.dataset.page === "overview") location.reload();
  else note("What this page shows of the devices is outdated.", { action: ["Load again", () => location.reload()] });
}

function alarms(live) {
  live.counts.forEach((count, index) => {
    const a = $(`#acount [data-level="${index + 1}"]`);
    setText($("b", a), String(count));
    setClass(a, count ? `on${index + 1}` : "");
  });
  for (const a of $$(".nav [data-device]")) setGlyph($(".g", a), live.devices[a.dataset.device]?.worst ?? 0);
  for (const a of $$(".nav [data-partition]"))
    setGlyph($(".g", a), live.partitions[a.dataset.partition]?.worst ?? 0);
  setGlyph($("#nav-alarms .g"), live.counts.findIndex((count) => count) + 1);
  newest(live);
  $("#not-watched").hidden = live.watched;
  calm(live);
  const causes = live.alarms.filter((alarm) => alarm.after_ns === null).slice(0, BAR);
  const key = causes
    .map((alarm) => `${alarm.since_ns} ${alarm.id} ${alarm.what}`)
    .join("|");
  const bar = $("#bar");
  if (bar.dataset.key === key) return;
  bar.dataset.key = key;
  bar.replaceChildren(...causes.map((alarm) => barItem(alarm)));
  if (!live.alarms.length) bar.append(el("span", { class: "mut calm watch" }, "No active alarm"));
}

// State and run of the partition of the page, else of the foremost one.
function front(live) {
  const place = $("#front");
  if (!place) return;
  const mine = document.body.dataset.page === "partition" ? place.dataset.partition : live.foremost;
  const told = live.partitions[mine];
  if (!told) return;
  const { state, run } = live.states.get(`partition.${mine}`) ?? told;
  setText($("i", place), mine);
  setText($("b", place), words(state));
  place.classList.toggle("gone-by", Boolean(told.gone_ns));
  place.setAttribute("href", `/partitions/${encodeURIComponent(mine)}`);
  $("#front-run").hidden = !run;
  $("#front-run").setAttribute("href", `/runs/${run}`);
  setText($("#front-run b"), String(run));
}

// What says that nothing is wrong says so only while that is known.
function calm(live) {
  for (const node of $$(".calm")) {
    node.dataset.calm ??= node.textContent;
    const known = live.trusted && (live.watched || !node.classList.contains("watch"));
    setText(node, known ? node.dataset.calm : "Whether anything is abnormal is not known.");
  }
}

function link(live) {
  const banner = $("#link-lost");
  document.body.classList.toggle("lost", !live.trusted);
  banner.hidden = live.trusted && live.fed;
  calm(live);
  if (live.trusted) {
    const why = live.refused ? `The live feed was refused: ${live.refused}.` : "There is no live feed.";
    setText(banner, `${why} This page asks for the state every 2 s instead; commands work as always.`);
    return;
  }
  const who = live.up ? "The console has lost the bus" : "The link to the console is lost";
  setText(
    banner,
    `${who} since ${clock(live.lostSince)} UTC. What is shown is stale; only commands to a safe state, as Stop and Abort, are sent.`,
  );
}

// A note of a failure stays until it is closed: it used to go away after eight seconds, unread. `instead`: the note that
// this one replaces, so that a command does not leave two notes over the events.
export function note(text, { bad = false, detail = "", action = null, seconds = 8, instead = null } = {}) {
  const node = el("div", { class: bad ? "note bad" : "note" }, text, detail ? el("small", {}, detail) : null);
  const button = (label, onclick) => node.append(" ", el("button", { class: "btn small", type: "button", onclick }, label));
  if (action) button(...action);
  else if (bad) button("Close", () => node.remove());
  else setTimeout(() => node.remove(), seconds * 1000);
  if (instead?.isConnected) instead.replaceWith(node);
  else $("#notes").append(node);
  while ($("#notes").childElementCount > 4) $("#notes").firstElementChild.remove();
  return node;
}
