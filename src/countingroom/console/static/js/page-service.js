// The page of one service: its state with the cause, its instances, the log of one of them, the last steps.
import { $, data, el, setText, setClass } from "./dom.js";
import { FleetStates, aside, culprit, ends, healthy, isUnderWay, judged, phase, placeOf, plural, serviceNow, since, steps, wantedNow } from "./fleet-model.js";
import { fleetUse } from "./fleet-use.js";
import { button, serviceAct } from "./fleet-acts.js";
import { banners, fact, instanceRow, nodeLink, put, stepLines } from "./fleet-parts.js";
import { LogStream } from "./fleet-log.js";

const LINES = 500;
const ALL = "*";

// What of the experiment it is, with the partitions that have its system.
function runsFact(runs) {
  const [kind, name] = runs.split(".");
  if (kind !== "system") return fact("role", name);
  const links = data.partitions.flatMap((one) => [" · ", el("a", { href: `/partitions/${encodeURIComponent(one)}` }, one)]);
  return fact("agent of", el("span", {}, name, ...links));
}

export function page(live) {
  const name = data.service,
    fleet = new FleetStates(live, draw),
    chosen = $("#instance");
  let wanted = decodeURIComponent(location.hash.slice(1)),
    seen = "[]", // the instances whose log is shown
    isPaused = false;
  const stream = new LogStream(LINES, show);

  function draw() {
    const service = fleet.service(name),
      nowNs = live.nowNs();
    if (!service) {
      setText($("#state b"), "gone");
      setClass($("#state"), "st big s-no_link");
      put($("#commands"), []);
      put($("#banners"), [el("div", { class: "banner over" }, "This service is no longer part of the fleet.")]);
      return;
    }
    const { level, text } = serviceNow(service),
      all = service.instances,
      good = healthy(service);
    const word = service.disabled ? "Disabled" : service.phase === "done" ? (good === all.length ? "Healthy" : level ? "Not healthy" : "Starting") : phase(service).replace(/^./, (one) => one.toUpperCase());
    setText($("#state b"), word);
    setClass($("#state"), `st big s-${service.disabled ? "off" : level === 4 ? "no_link" : good === all.length && !isUnderWay(service) ? "on" : "part"}`);
    put($("#facts"), [
      service.title ? fact("title", service.title) : null,
      service.runs ? runsFact(service.runs) : null,
      fact("healthy", `${good} of ${all.length}`),
      fact("wanted", wantedNow(service), service.version && service.target === service.revision ? `r${service.revision}` : ""),
      fact("since", since(service.since_ns, nowNs)),
      fact("ends", String(ends(service))),
      service.disabled || word.toLowerCase() === text || text === "as wanted" ? null : fact("now", text),
    ]);
    put($("#banners"), [
      ...banners([service], nowNs, true),
      service.disabled ? el("div", { class: "banner over" }, `Disabled: ${aside(service.disabled, nowNs)}`) : null,
      service.waiting.length ? el("div", { class: "banner over" }, `Waits: ${service.waiting.join("; ")}`) : null,
    ]);
    const act = (label, command, danger = false) => button(live, label, command, () => serviceAct(live, fleet.service(name), command), { danger });
    put($("#commands"), [
      isUnderWay(service) && service.phase !== "held" ? act("Halt…", "halt") : null,
      service.phase === "held" ? act("Resume…", "resume") : null,
      service.disabled ? null : act("Restart…", "restart"),
      service.disabled ? act("Enable…", "enable") : act("Disable…", "disable", true),
    ]);
    put($("#instances"), all.map((one) => instanceRow(el("span", {}, nodeLink(one.node), one.index ? ` #${one.index}` : "", one.host ? ` on ${one.host}` : ""), service, one, { nowNs, isOff: Boolean(service.disabled) })));
    $("#no-instances").hidden = all.length > 0;
    chosen.hidden = !all.length;
    put($("#steps"), stepLines(steps(service).reverse()));
    $("#no-steps").hidden = service.log.length > 0;
    choices(all);
  }

  // The worst instance first where none was chosen; all of them, merged, where none is abnormal.
  function choices(all) {
    const names = all.map(placeOf);
    const had = chosen.value;
    put(chosen, [all.length > 1 ? el("option", { value: ALL }, "all instances") : null, ...names.map((one) => el("option", { value: one }, one))]);
    const worst = all.find((one) => judged(one)[0] === 2) ?? culprit(fleet.service(name)) ?? (all.length > 1 ? null : all[0]);
    const choice = (one) => names.includes(one) || (one === ALL && all.length > 1);
    chosen.value = choice(wanted) ? wanted : choice(had) ? had : worst ? placeOf(worst) : all.length ? ALL : "";
    wanted = "";
    const of = all.filter((one) => chosen.value === ALL || placeOf(one) === chosen.value).map(({ node, index }) => ({ service: name, node, index }));
    const now = JSON.stringify(of);
    if (now === seen) return;
    seen = now;
    stream.follow(of);
  }

  function show(lines, why) {
    if (isPaused) return;
    const place = $("#log"),
      text = $("#filter").value.toLowerCase(),
      several = chosen.value === ALL,
      width = several ? Math.max(0, ...lines.map((line) => placeOf(line).length)) : 0,
      all = lines.map((line) => (several && line.node ? `${placeOf(line).padEnd(width)} │ ${line.text}` : line.text)),
      some = text ? all.filter((line) => line.toLowerCase().includes(text)) : all,
      atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    setText(place, some.join("\n") || (text && all.length ? "No line has this text." : seen === "[]" ? "There is no instance now." : "It has written nothing."));
    setText($("#log-told"), `${text ? `${some.length} of ` : ""}${plural(all.length, "line")}, ${why || "live"}`);
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  chosen.addEventListener("change", () => {
    wanted = chosen.value;
    choices(fleet.service(name)?.instances ?? []);
  });
  addEventListener("hashchange", () => {
    wanted = decodeURIComponent(location.hash.slice(1));
    draw();
  });
  $("#filter").addEventListener("input", () => show(stream.lines, stream.why));
  $("#pause").addEventListener("click", () => {
    isPaused = !isPaused;
    setText($("#pause"), isPaused ? "Go on" : "Pause");
    if (isPaused) setText($("#log-told"), `${plural(stream.lines.length, "line")}, paused`);
    else show(stream.lines, stream.why);
  });
  addEventListener("pagehide", () => stream.drop());
  addEventListener("pageshow", ({ persisted }) => persisted && stream.connect());
  live.on("link", draw);
  fleetUse(live);
  draw();
}
