// Tells the holder of control on every page that another user asks for it: a banner, the title of the page and a sound.
import { $, el } from "./dom.js";
import { tellPartition } from "./commands.js";
import { tellOutcome } from "./buttons.js";
import { clock } from "./format.js";
import { Sound } from "./sound.js";

const user = document.querySelector("meta[name=user]")?.content ?? "";
const title = document.title;

// The requests to this user: [{partition, by, since_ns}].
export const requestsTo = (name, partitions) =>
  Object.entries(partitions).flatMap(([partition, { holder, asks }]) =>
    holder === name ? (asks ?? []).map((one) => ({ partition, ...one })) : [],
  );


export function controlRequests(live) {
  const put = new Set(), // answered with "Not now"
    heard = new Set();
  const place = $("#asked"),
    silent = el("span", { class: "hint silent", hidden: true }, "This browser plays the sound after the page was used: press a key."),
    sound = new Sound((waits) => (silent.hidden = !waits));
  const keyOf = ({ partition, by, since_ns }) => `${partition} ${by} ${since_ns}`;
  const show = () => {
    const open = requestsTo(user, live.partitions).filter((one) => !put.has(keyOf(one)));
    const key = open.map(keyOf).join("|");
    document.title = open.length ? `(${open[0].by} asks) ${title}` : title;
    if (place.dataset.key === key) return;
    place.dataset.key = key;
    place.replaceChildren(...open.map(banner));
    if (open.length) place.append(silent);
    if (open.some((one) => !heard.has(keyOf(one)))) sound.play();
    if (!open.length) sound.forget();
    for (const one of open) heard.add(keyOf(one));
  };
  const banner = (one) => {
    const give = async () => {
      const answer = await tellPartition(live, one.partition, "hand_over", { values: { to: one.by } });
      await tellOutcome(`${one.partition}: hand over to ${one.by}`, answer);
    };
    const later = () => {
      put.add(keyOf(one));
      show();
    };
    return el(
      "div",
      { class: "banner asks" },
      el("span", {}, el("b", {}, one.by), ` asks you for control of ${one.partition} since ${clock(one.since_ns)}.`),
      el("span", { class: "sp" }),
      el("button", { class: "btn primary", type: "button", onclick: give }, `Hand over to ${one.by}`),
      el("button", { class: "btn", type: "button", onclick: later }, "Not now"),
    );
  };
  live.on("change", show);
}
