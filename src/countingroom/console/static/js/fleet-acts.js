// The commands to the fleet, each asked for in a dialog that says what it does.
import { el } from "./dom.js";
import { mark, refusal } from "./acts.js";
import { boxed, tellOutcome } from "./buttons.js";
import { tellFleet } from "./commands.js";
import { confirm, meanwhile } from "./confirm.js";
import { healthy, plural } from "./fleet-model.js";

const UNITS = { min: 60, h: 3600, d: 86_400 };

// `90 min`, `4 h`, `2 d` in seconds; null where it is none of these.
export function seconds(text) {
  const found = /^(\d+(?:\.\d+)?)\s*(min|h|d)$/.exec(text.trim());
  return found && Number(found[1]) > 0 ? Number(found[1]) * UNITS[found[2]] : null;
}

async function give(live, what, command, values) {
  tellOutcome(what, await tellFleet(live, command, { values, deadlineS: 30 }));
}

// A button of a service or node. why(): why it cannot be used now, beside the role and the link.
export function button(live, label, command, does, { danger = false } = {}) {
  const node = el("button", { class: danger ? "btn danger" : "btn", type: "button", "data-key": `${command} ${label}`, "aria-disabled": "false", onclick: () => node.getAttribute("aria-disabled") !== "true" && does() }, label);
  mark(node, refusal(live, command));
  return node;
}

// The fields of what is set aside: why, and for how long.
function asideFields() {
  const reason = el("input", { name: "reason", maxlength: "300", autocomplete: "off" }),
    lasts = el("input", { name: "for", maxlength: "20", autocomplete: "off", placeholder: "until it is ended by hand" });
  return {
    boxes: [boxed("Reason, required", reason), boxed("For (30 min, 4 h, 2 d)", lasts)],
    check: () => (!reason.value.trim() ? "The reason is missing." : lasts.value.trim() && !seconds(lasts.value) ? "Write the time as 30 min, 4 h or 2 d." : ""),
    read: () => ({ reason: reason.value.trim(), ...(lasts.value.trim() ? { for_s: seconds(lasts.value) } : {}) }),
  };
}

const NODE_ACTS = {
  cordon: ["Cordon", "nothing is made, changed or ended there; what runs goes on"],
  drain: ["Drain", "its instances are ended, and none is made there"],
  uncordon: ["Use again", "services are made and changed there again"],
};

export async function nodeAct(live, node, command) {
  const [label, does] = NODE_ACTS[command];
  const aside = command === "uncordon" ? null : asideFields();
  const sure = await confirm(live, {
    title: `${label}: ${node.node}?`,
    rows: [["Does", does], ["Runs there", plural(node.instances, "instance")], ...meanwhile(live)],
    fields: aside ? el("div", {}, ...aside.boxes) : null,
    check: aside?.check,
    dangerous: command === "drain",
    button: `${label} ${node.node}`,
  });
  if (sure) give(live, `${node.node}: ${label}`, command, { node: node.node, ...(aside?.read() ?? {}) });
}

const STEPS = { asked: "asked to restart", off: "its power is switched off", on: "its power is switched on", waits: "restarts; waits for another boot id", done: "has started anew", failed: "did not restart" };

// What is known of the last restart of a node that a user asked for, at the time `since`: [level, sentence], or null.
export function rebootNow({ reboot }, since) {
  if (!reboot) return null;
  const { step, by, cause, is_hard: hard } = reboot;
  return [step === "failed" ? 2 : 0, `${hard ? "Hard restart" : "Restart"} by ${by}, ${since}: ${cause ? cause.message : STEPS[step]}`];
}

export async function rebootNode(live, node, hard) {
  const sure = await confirm(live, {
    title: hard ? `Switch the power of ${node.node} off and on?` : `Restart ${node.node}?`,
    rows: [
      ["Does", hard ? "its power is off for 3 s; where it cannot be switched off, nothing more is done" : "it is asked to restart by ssh"],
      ["Ends", "when it shows another boot id than before"],
      ["Runs there", plural(node.instances, "instance")],
      ...meanwhile(live),
    ],
    dangerous: true,
    button: hard ? `Switch ${node.node} off and on` : `Restart ${node.node}`,
  });
  // Its steps are shown by the state of the node: the page does not wait for the end.
  if (sure) tellOutcome(`${node.node}: Restart`, await tellFleet(live, "reboot", { values: { node: node.node, ...(hard ? { hard: true } : {}) }, deadlineS: 30 }));
}

// Asks which node, then the same.
export async function chooseNode(live, nodes) {
  const which = el("select", { name: "node" }, ...nodes.map(({ node }) => el("option", { value: node }, node))),
    what = el("select", { name: "act" }, ...Object.entries(NODE_ACTS).map(([command, [label]]) => el("option", { value: command }, label)));
  const chosen = () => nodes.find(({ node }) => node === which.value);
  const sure = await confirm(live, {
    title: "Cordon, drain or use a node again",
    rows: [],
    fields: el("div", {}, boxed("Node", which), boxed("Do", what)),
    check: () => (!chosen() ? "There is no node." : what.value === "uncordon" && !chosen().cordon ? `${which.value} is in use.` : refusal(live, what.value)),
    button: "Go on…",
  });
  if (sure) nodeAct(live, chosen(), what.value);
}

const SERVICE_ACTS = {
  restart: ["Restart", "makes its instances again, a few at a time, as its update rules allow"],
  disable: ["Disable", "ends all its instances until it is enabled"],
  enable: ["Enable", "makes its instances again"],
  halt: ["Halt", "the change stops where it is; what was changed stays so"],
  resume: ["Resume", "goes on with the change"],
};

export async function serviceAct(live, service, command) {
  const [label, does] = SERVICE_ACTS[command];
  const aside = command === "disable" ? asideFields() : null;
  const sure = await confirm(live, {
    title: `${label}: ${service.title || service.service}?`,
    rows: [["Does", does], ["Now", `${healthy(service)} of ${plural(service.instances.length, "instance")} healthy`], ...meanwhile(live)],
    fields: aside ? el("div", {}, ...aside.boxes) : null,
    check: aside?.check,
    dangerous: command === "disable",
    button: command === "restart" ? `Restart ${plural(service.instances.length, "instance")}` : `${label} ${service.service}`,
  });
  if (sure) give(live, `${service.service}: ${label}`, command, { service: service.service, ...(aside?.read() ?? {}) });
}
