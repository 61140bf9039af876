// The page of the fleet: the whole, each change under way, services with the abnormal first, nodes by category.
import { $, el, setText } from "./dom.js";
import { command, refusal } from "./acts.js";
import { FleetStates, culprit, ends, healthy, isOld, isUnderWay, judged, nodeNow, placeOf, runs, serviceNow, servicePage, since, steps, wantedNow } from "./fleet-model.js";
import { button, chooseNode, serviceAct } from "./fleet-acts.js";
import { banners, disc, fact, nodeLink, pullRows, put, serviceLink, sign, stepLines, warned } from "./fleet-parts.js";
import { planChange, showRevisions } from "./fleet-plan.js";
import { talkTo } from "./fleet-talk.js";

const LAST_STEPS = 6;
const MOST_NORMAL = 6; // nodes of a category that are listed though nothing is wrong with them
const MOST_SERVICES = 200; // rows; the abnormal ones are always among them
const MOST_CELLS = 120;
const ORDER = [9, 0, 1, 2, 3]; // level -> place in the table

export function page(live) {
  const fleet = new FleetStates(live, draw);
  const unfolded = new Set();
  let isWhole = false; // all services are shown

  function draw() {
    const { whole, nodes, services } = fleet,
      nowNs = live.nowNs();
    $("#no-fleet").hidden = Boolean(whole || nodes.length);
    const cause = whole?.cause;
    $("#fleet-cause").hidden = !cause;
    if (cause) setText($("#fleet-cause"), `Nothing is changed now: ${cause.message}${cause.suggestion ? `; ${cause.suggestion}` : ""}`);
    const inUse = nodes.filter((one) => one.is_reachable && !one.cordon).length,
      asWanted = services.filter((one) => one.phase === "done" && serviceNow(one).text === "as wanted").length;
    put($("#facts"), [
      fact("nodes in use", `${inUse} of ${nodes.length}`),
      fact("services as wanted", `${asWanted} of ${services.length}`),
      fact("wanted", whole?.revision ? `r${whole.revision}` : "nothing yet"),
      whole?.by ? fact("by", whole.by, since(whole.time_ns, nowNs)) : null,
      fact("keeper", whole?.keeper ? whole.keeper.replace(/, \w{8}$/, "") : "not known"),
    ]);
    put($("#banners"), banners(services, nowNs));
    const pulls = nodes.flatMap((one) => (one.pulls ?? []).map((pull) => [one.node, pull]));
    put($("#changes"), [
      ...services.filter((one) => one.phase !== "done").map((one) => changeCard(one)),
      pulls.length ? el("section", { class: "card", "aria-label": "Images being pulled" }, el("h2", {}, "Images being pulled"), ...pullRows(pulls, nowNs)) : null,
    ]);
    setText($("#wanted"), whole?.revision ? `wanted r${whole.revision}${whole.comment ? `: ${whole.comment}` : ""}` : "");
    const judgedOnes = services.map((one) => [serviceNow(one), one]).sort(([a], [b]) => ORDER[a.level] - ORDER[b.level]);
    const shown = isWhole ? judgedOnes.length : Math.max(MOST_SERVICES, judgedOnes.filter(([{ level }]) => level).length);
    put($("#services"), judgedOnes.slice(0, shown).map(([now, one]) => serviceRow(one, now, nowNs)));
    $("#more-services").hidden = judgedOnes.length <= shown;
    setText($("#more-services"), `${judgedOnes.length - shown} more`);
    $("#no-services").hidden = services.length > 0;
    setText($("#nodes-told"), nodes.length ? `${inUse} of ${nodes.length} in use` : "");
    labels(nodes);
    put($("#nodes"), categories(nodes, nowNs));
    judge();
    $("#talk").hidden = !services.some((one) => one.is_actor);
  }

  function changeCard(service) {
    const { service: name, target, revision, instances } = service,
      done = instances.filter((one) => one.health && !isOld(service, one)).length,
      title = { rolling: `Change of ${name} to r${target}`, held: `Change of ${name} to r${target}, halted`, rolling_back: `Rollback of ${name} to r${revision}`, rolled_back: `Change of ${name} to r${target}, rolled back`, failed: `Change of ${name} to r${target}, failed` }[service.phase];
    // Of many, those that are changed or abnormal first.
    const rest = (one) => (one.doing || judged(one)[0] ? 0 : 1),
      some = instances.length > MOST_CELLS ? [...instances].sort((a, b) => rest(a) - rest(b)).slice(0, MOST_CELLS) : instances;
    const bad = culprit(service) ?? instances.find((one) => one.health && judged(one)[0] === 2) ?? null;
    return el(
      "section",
      { class: "card fl-change", "aria-label": title, "data-change-of": name },
      el("h2", {}, title, el("span", { class: "sp" }), el("span", { class: "hint" }, `${done} of ${instances.length} as wanted now · ${healthy(service)} healthy`)),
      isUnderWay(service) ? el("progress", { class: "fl-rolling", "aria-label": `${title}: instances as wanted now`, value: done, max: Math.max(instances.length, 1) }) : null,
      el("div", { class: "cells" }, ...some.map((one) => cell(service, one)), instances.length > some.length ? el("span", { class: "hint" }, `and ${instances.length - some.length} more`) : null),
      el("ol", { class: "fl-steps" }, ...stepLines(steps(service).slice(-LAST_STEPS))),
      el(
        "div",
        { class: "cmds fl-acts" },
        el("a", { class: "btn", href: servicePage(name, bad ?? instances[0]) }, bad ? `Log of ${placeOf(bad)}` : "Log"),
        isUnderWay(service) && service.phase !== "held" ? button(live, "Halt…", "halt", () => serviceAct(live, fleet.service(name), "halt")) : null,
        service.phase === "held" ? button(live, "Resume…", "resume", () => serviceAct(live, fleet.service(name), "resume")) : null,
        service.waiting.length ? el("span", { class: "hint" }, `Waits: ${service.waiting.join("; ")}`) : null,
      ),
    );
  }

  function cell(service, one) {
    const [level, word, more] = judged(one),
      missing = one.health === null && isUnderWay(service),
      kind = one.doing ? "busy" : missing ? "old" : level ? `l${level}` : isOld(service, one) ? "old" : "new";
    return el("a", { class: `cell ${kind}`, href: servicePage(service.service, one), title: `${placeOf(one)}: ${word}${more ? `, ${more}` : ""}` }, el("b", {}, placeOf(one), missing ? null : sign(level)), el("span", {}, one.health === null ? "–" : runs(one)), el("span", { class: "vh" }, ` ${word}`));
  }

  function serviceRow(service, { level, text }, nowNs) {
    const { service: name, title, instances } = service;
    return el(
      "tr",
      { class: `l${level}`, "data-service": name },
      el("td", { class: "fit" }, sign(level)),
      el("td", {}, serviceLink(name), el("span", { class: "mut" }, ` × ${instances.length}`), title ? el("small", {}, title) : null),
      el("td", { class: "nw" }, wantedNow(service)),
      el("td", { class: text === "as wanted" ? "mut" : "obs" }, text),
      el("td", { class: "num nw" }, `${healthy(service)}/${instances.length}`),
      el("td", { class: "num" }, String(ends(service))),
      el("td", { class: "num nw" }, since(service.since_ns, nowNs)),
    );
  }

  // The labels by which nodes can be grouped.
  function labels(nodes) {
    const by = $("#by"),
      had = by.value || "category",
      names = [...new Set(["category", ...nodes.flatMap((one) => Object.keys(one.labels))])];
    put(by, names.map((name) => el("option", { value: name }, `by ${name}`)));
    by.value = names.includes(had) ? had : "category";
    by.hidden = names.length < 2;
  }

  function categories(nodes, nowNs) {
    const groups = new Map(),
      by = $("#by").value;
    for (const one of nodes) {
      const name = one.labels[by] ?? "";
      groups.set(name, [...(groups.get(name) ?? []), one]);
    }
    return [...groups].flatMap(([name, all]) => {
      const inUse = all.filter((one) => one.is_reachable && !one.cordon).length;
      const isOdd = (one) => !one.is_reachable || one.cordon || one.warning || one.healthy < one.instances;
      const normal = all.filter((one) => !isOdd(one)),
        folds = normal.length > MOST_NORMAL && !unfolded.has(name),
        open = folds ? all.filter(isOdd) : all;
      const more = el("button", { class: "btn small fold", type: "button", "data-key": `fold ${name}`, "aria-expanded": String(!folds), onclick: () => fold(name) }, folds ? `${normal.length} ${open.length ? "more, " : ""}all up` : "Show fewer");
      return [
        el("h3", { class: "fl-category" }, name || `Without ${by}`, el("span", { class: "sp" }), el("span", { class: "marks", "aria-hidden": "true" }, ...all.slice(0, 24).map((one) => el("i", { class: !one.is_reachable ? "lost" : one.cordon ? "aside" : one.healthy < one.instances ? "bad" : null }))), el("small", {}, `${inUse} of ${all.length} in use`)),
        ...(open.length ? [el("div", { class: "fl-nodes", role: "list" }, ...open.map((one) => nodeRow(one, nowNs)))] : []),
        ...(normal.length > MOST_NORMAL ? [more] : []),
      ];
    });
  }

  function nodeRow(node, nowNs) {
    const { level, word, note } = nodeNow(node, nowNs),
      lost = level === 4,
      short = node.healthy < node.instances && !lost;
    return el(
      "div",
      { class: `fl-node${lost ? " lost" : ""}`, role: "listitem", "data-node": node.node },
      nodeLink(node.node),
      el("span", { class: "mut engine" }, node.engine),
      el("span", { class: "fl-word" }, disc(lost ? "no_link" : "on", lost ? "lost" : "up"), node.cordon ? el("span", { class: "badge aside" }, word === "lost" ? (node.cordon.drain ? "drained" : "cordoned") : word) : null),
      el("span", { class: "num" }, short ? sign(2) : null, ` ${lost ? "?" : node.healthy}/${node.instances}`, el("span", { class: "vh" }, " healthy")),
      note ? el("span", { class: "fl-note" }, note) : null,
      warned(node),
    );
  }

  function fold(name) {
    if (!unfolded.delete(name)) unfolded.add(name);
    draw();
  }

  function judge() {
    const why = refusal(live, "cordon") && refusal(live, "drain") && refusal(live, "uncordon");
    $("#set-aside").dataset.why = why;
    $("#set-aside").setAttribute("aria-disabled", String(Boolean(why)));
  }

  command(live, $("#show-plan"), "apply", async () => {
    await planChange(live);
    $("#show-plan").focus();
  });
  $("#show-revisions").addEventListener("click", () => showRevisions(live, fleet.whole?.revision ?? 0));
  talkTo(live, $("#talk"), fleet);
  $("#set-aside").addEventListener("click", () => $("#set-aside").getAttribute("aria-disabled") !== "true" && chooseNode(live, fleet.nodes));
  $("#more-services").addEventListener("click", () => {
    isWhole = true;
    draw();
  });
  $("#by").addEventListener("change", draw);
  live.on("link", draw);
  draw();
}
