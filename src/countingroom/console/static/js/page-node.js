// The page of one node: whether it answers, what is set aside, what runs on it.
import { $, data, el, setClass, setText } from "./dom.js";
import { FleetStates, aside, nodeNow, since } from "./fleet-model.js";
import { fleetUse } from "./fleet-use.js";
import { button, nodeAct, rebootNode, rebootNow } from "./fleet-acts.js";
import { fact, instanceRow, pullRows, put, serviceLink } from "./fleet-parts.js";

export function page(live) {
  const name = data.node,
    fleet = new FleetStates(live, draw);

  function draw() {
    const node = fleet.node(name),
      nowNs = live.nowNs();
    if (!node) {
      setText($("#state b"), "gone");
      setClass($("#state"), "st big s-no_link");
      put($("#commands"), []);
      put($("#banners"), [el("div", { class: "banner over" }, "This node is no longer part of the fleet.")]);
      return;
    }
    const { level, word, note } = nodeNow(node, nowNs);
    setText($("#state b"), word.replace(/^./, (one) => one.toUpperCase()));
    setClass($("#state"), `st big s-${level === 4 ? "no_link" : node.cordon ? "off" : "on"}`);
    const labels = Object.entries(node.labels).filter(([key]) => key !== "category");
    put($("#facts"), [
      fact("since", since(node.since_ns, nowNs)),
      fact("engine", node.engine),
      fact("address", node.address || "this computer"),
      node.category ? fact("category", node.category) : null,
      labels.length ? fact("labels", labels.map(([key, text]) => `${key}: ${text}`).join(", ")) : null,
      node.reboot?.step === "done" ? fact("restarted", since(node.reboot.since_ns, nowNs), `by ${node.reboot.by}`) : null,
      fact("healthy", `${level === 4 ? "?" : node.healthy} of ${node.instances}`),
    ]);
    const reboot = rebootNow(node, since(node.reboot?.since_ns ?? 0, nowNs));
    put($("#banners"), [
      reboot && node.reboot.step !== "done" ? el("div", { class: reboot[0] ? "banner cause l2" : "banner over" }, reboot[1]) : null,
      level === 4 ? el("div", { class: "banner link" }, `Lost: ${note}`) : null,
      node.warning ? el("div", { class: "banner cause l3" }, node.warning) : null,
      node.cordon ? el("div", { class: "banner over" }, `${node.cordon.drain ? "Drained" : "Cordoned"}: ${aside(node.cordon, nowNs)}`) : null,
    ]);
    const act = (label, command, danger = false) => button(live, label, command, () => nodeAct(live, fleet.node(name), command), { danger });
    put($("#commands"), [
      node.cordon ? act("Use again…", "uncordon") : act("Cordon…", "cordon"),
      node.cordon?.drain ? null : act("Drain…", "drain", true),
      ...node.restarts.map((way) => button(live, way === "hard" ? "Power off and on…" : "Restart…", "reboot", () => rebootNode(live, fleet.node(name), way === "hard"), { danger: true })),
    ]);
    const rows = fleet.services.flatMap((service) =>
      service.instances
        .filter((one) => one.node === name)
        .map((one) => instanceRow(el("span", {}, serviceLink(service.service, one), one.index ? ` #${one.index}` : ""), service, one, { nowNs, isOff: Boolean(service.disabled || node.cordon?.drain) })),
    );
    const pulls = (node.pulls ?? []).map((pull) => [name, pull]);
    put($("#pulls"), pulls.length ? [el("section", { class: "card", "aria-label": "Images being pulled" }, el("h2", {}, "Images being pulled"), ...pullRows(pulls, nowNs))] : []);
    put($("#instances"), rows);
    $("#no-instances").hidden = rows.length > 0;
  }

  live.on("link", draw);
  fleetUse(live);
  draw();
}
