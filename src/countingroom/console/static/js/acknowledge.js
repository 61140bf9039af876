// The page of the one-time link in a message: shows its alarms, and acknowledges them when the button is pressed.
import { $, el } from "./dom.js";
import { tell } from "./form.js";
import { moment } from "./format.js";
import { post } from "./post.js";

const place = $("#acknowledge");
const link = { token: location.hash.slice(1) };

function isAsTold({ occurrence, now }) {
  return now && now.waits && now.occurrence === occurrence;
}

function words({ occurrence, now }) {
  if (!now) return "It is normal again, nothing is to be acknowledged.";
  if (now.occurrence !== occurrence) return "It happened again after the message.";
  if (!now.waits) return now.acknowledged_by ? `It was acknowledged by ${now.acknowledged_by}.` : "It needs no acknowledgement.";
  return "It is not acknowledged.";
}

function item(alarm) {
  const { id, priority, now } = alarm;
  return el(
    "li",
    {},
    el("b", {}, now?.title ?? id),
    el("div", {}, now?.text ?? ""),
    el("div", { class: "mut" }, now ? `priority ${now.priority}, ${now.shown}, since ${moment(now.since_ns)} UTC` : `priority ${priority}`),
    el("div", {}, words(alarm)),
  );
}

function refused(cause) {
  const told = el("p", { class: "told", role: "alert" });
  place.append(told);
  tell(told, cause);
}

function done({ outcome }) {
  if (outcome.kind !== "done") return refused(outcome.cause ?? { message: outcome.message });
  const refusals = outcome.data?.refusals;
  place.replaceChildren(
    el("p", { role: "status" }, el("b", {}, refusals ? `${outcome.data.done} acknowledged, ${outcome.data.refused} refused.` : "Acknowledged.")),
    ...(refusals ? [el("p", {}, refusals)] : []),
  );
}

async function look() {
  const answer = await post("/api/v1/look_at_link", link);
  place.replaceChildren();
  if (!answer.done) return refused(answer.cause);
  const { user, alarms } = answer.told;
  place.append(el("ul", {}, ...alarms.map(item)));
  if (!alarms.some(isAsTold)) return;
  const button = el("button", { class: "btn primary", type: "button" }, `Acknowledge as ${user}`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const acknowledged = await post("/api/v1/acknowledge_by_link", link);
    for (const node of place.querySelectorAll(".told")) node.remove();
    button.disabled = false;
    if (acknowledged.done) done(acknowledged.told);
    else refused(acknowledged.cause);
  });
  place.append(button);
}

addEventListener("hashchange", () => location.reload()); // another link was opened in this tab
if (place) await look();
document.body.dataset.script = "ready";
