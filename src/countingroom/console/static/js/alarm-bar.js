// The bar at the bottom of every page: the newest alarm that waits to be acknowledged, and the button for it.
import { $, el, setText } from "./dom.js";
import { clock } from "./format.js";
import { sign } from "./alarm-words.js";
import { acknowledge, refusal, withFollowers } from "./alarm-acts.js";
import { mark } from "./acts.js";

export function alarmBar(live) {
  const button = $("#ack-newest");
  button.addEventListener("click", async () => {
    if (!live.newest || button.getAttribute("aria-disabled") === "true") return;
    button.disabled = true;
    await acknowledge(withFollowers(live, live.newest), [live.newest]);
    button.disabled = false;
  });
  live.on("link", () => mark(button, refusal(live, "acknowledge")));
}

export function newest(live) {
  const alarm = live.newest,
    place = $("#newest"),
    key = alarm ? JSON.stringify([alarm.id, alarm.occurrence, alarm.base, alarm.priority, alarm.text, live.follow]) : "";
  $("#bar").hidden = Boolean(alarm);
  for (const node of [place, $("#waiting"), $("#ack-newest")]) node.hidden = !alarm;
  if (!alarm) {
    place.dataset.key = "";
    place.replaceChildren();
    return;
  }
  setText($("#waiting"), live.waiting > 1 ? `newest of ${live.waiting} not acknowledged` : "not acknowledged");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  const follow = live.follow ? `, ${live.follow} ${live.follow === 1 ? "follows" : "follow"} from it` : "";
  place.replaceChildren(
    sign(alarm),
    el("span", { class: "mut" }, clock(alarm.since_ns)),
    el("a", { href: `/alarms#${alarm.id}`, title: alarm.text }, el("b", {}, alarm.title), " ", el("span", { class: "what" }, alarm.text + follow)),
  );
}
