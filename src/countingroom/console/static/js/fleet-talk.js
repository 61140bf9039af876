// A command to actors of the fleet: asked for in a dialog; what each says is shown at its end.
import { $, el, setText } from "./dom.js";
import { refusal } from "./acts.js";
import { boxed, tellOutcome } from "./buttons.js";
import { tellFleet } from "./commands.js";
import { confirm, meanwhile } from "./confirm.js";
import { put } from "./fleet-parts.js";
import { note } from "./shell.js";
import { ask } from "./snapshot-words.js";

const POLICIES = { all: "all do it", majority: "more than half do it", any: "one does it" };
const MOST_REPLIES = 500;

const placeOf = (one) => (one.index ? `${one.node}#${one.index}` : one.node);
const text = (keywords) => Object.entries(keywords).map(([name, value]) => `${name}=${typeof value === "object" && value !== null ? JSON.stringify(value) : value}`).join("; ");

async function order(live, fleet) {
  const command = el("input", { name: "command", maxlength: "1000", autocomplete: "off", placeholder: "status" }),
    nodes = el("input", { name: "nodes", maxlength: "1000", autocomplete: "off", placeholder: "all" }),
    category = el("select", { name: "category" }, el("option", { value: "" }, "all"), ...[...new Set(fleet.nodes.map((one) => one.category).filter(Boolean))].map((name) => el("option", { value: name }, name))),
    deadline = el("input", { name: "deadline", type: "number", min: "0.1", max: "86400", step: "any", value: "60" }),
    policy = el("select", { name: "policy" }, ...Object.entries(POLICIES).map(([value, label]) => el("option", { value }, label)));
  const sure = await confirm(live, {
    title: "Talk to actors",
    rows: [["Does", "sends a command to all that are meant, at the same time"], ...meanwhile(live)],
    fields: el("div", {}, boxed("Command", command), boxed("Nodes, with commas (gfa1, gfa*)", nodes), boxed("Category", category), boxed("Deadline of each (s)", deadline), boxed("Done where", policy)),
    check: () => refusal(live, "talk") || (!command.value.trim() ? "The command is missing." : !(Number(deadline.value) > 0) ? "The deadline is a time in seconds." : ""),
    button: "Send",
  });
  if (!sure) return null;
  return { command: command.value.trim(), deadline_s: Number(deadline.value), policy: policy.value, ...(nodes.value.trim() ? { nodes: nodes.value.trim() } : {}), ...(category.value ? { category: category.value } : {}) };
}

// While the actors are waited for. What is stopped is the wait: the actors go on.
function showUnderWay(live, command, id) {
  $("#talk-card").hidden = false;
  setText($("#talk-told"), `${command}: waits for the actors`);
  put($("#talk-actors"), []);
  setText($("#talk-replies"), "");
  const stop = $("#talk-stop");
  stop.hidden = false;
  stop.onclick = async () => tellOutcome(`Stop: ${command}`, await tellFleet(live, "stop_talk", { values: { talk: id } }));
}

async function show(id) {
  $("#talk-stop").hidden = true;
  const state = await ask(`/api/v1/fleet/talks/${encodeURIComponent(id)}`, (why, detail) => note(why, { bad: true, detail }));
  if (!state) return;
  $("#talk-card").hidden = false;
  const done = state.actors.filter((one) => one.outcome === "done").length;
  setText($("#talk-told"), `${state.command}: ${done} of ${state.actors.length} actors did it`);
  put($("#talk-actors"), [
    ...state.actors.filter((one) => one.outcome !== "done").map((one) => el("li", {}, el("b", {}, placeOf(one)), ` ${one.outcome}: ${one.cause?.message ?? ""}`)),
    ...state.files.map((name) => el("li", {}, name)),
  ]);
  setText($("#talk-replies"), state.replies.slice(-MOST_REPLIES).map((one) => `${placeOf(one)} ${one.code} ${text(one.keywords)}`).join("\n"));
}

// The button that asks, and the card that shows the end.
export function talkTo(live, button, fleet) {
  button.addEventListener("click", async () => {
    const values = await order(live, fleet);
    if (!values) return;
    const answer = await tellFleet(live, "talk", { values });
    if (answer.accepted) showUnderWay(live, values.command, answer.id);
    await tellOutcome(`Talk: ${values.command}`, answer);
    if (answer.accepted) await show(answer.id);
  });
}
