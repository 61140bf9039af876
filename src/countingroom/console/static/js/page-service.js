// The page of one service: its state with the cause, its instances, the log of one of them, the last steps.
import { $, data, el, setText, setClass } from "./dom.js";
import { FleetStates, aside, culprit, ends, healthy, isUnderWay, judged, phase, placeOf, plural, serviceNow, since, steps, wantedNow } from "./fleet-model.js";
import { button, serviceAct } from "./fleet-acts.js";
import { banners, fact, instanceRow, nodeLink, put, stepLines } from "./fleet-parts.js";
import { ask } from "./snapshot-words.js";
import { clock } from "./format.js";

const LINES = 500;
const SOON_MS = 400;

export function page(live) {
  const name = data.service,
    fleet = new FleetStates(live, draw),
    chosen = $("#instance");
  let wanted = decodeURIComponent(location.hash.slice(1)),
    lines = [],
    seen = null,
    asked = 0,
    timer = null;

  const instance = () => fleet.service(name)?.instances.find((one) => placeOf(one) === chosen.value);

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
    put($("#instances"), all.map((one) => instanceRow(el("span", {}, nodeLink(one.node), one.index ? ` #${one.index}` : ""), service, one, { nowNs, isOff: Boolean(service.disabled) })));
    $("#no-instances").hidden = all.length > 0;
    chosen.hidden = !all.length;
    put($("#steps"), stepLines(steps(service).reverse()));
    $("#no-steps").hidden = service.log.length > 0;
    choices(all);
  }

  // The worst instance first where none was chosen.
  function choices(all) {
    const names = all.map(placeOf);
    const had = chosen.value;
    put(chosen, names.map((one) => el("option", { value: one }, one)));
    const worst = all.find((one) => judged(one)[0] === 2) ?? culprit(fleet.service(name)) ?? all[0];
    chosen.value = names.includes(wanted) ? wanted : names.includes(had) ? had : worst ? placeOf(worst) : "";
    wanted = "";
    const one = instance();
    const now = one ? JSON.stringify([placeOf(one), one.health, one.since_ns, one.engine_id, one.crashes, one.is_known]) : "";
    if (now === seen) return;
    seen = now;
    soon();
  }

  function soon() {
    timer ??= setTimeout(load, SOON_MS);
  }

  async function load() {
    clearTimeout(timer);
    timer = null;
    const one = instance(),
      mine = ++asked;
    if (!one) {
      lines = [];
      setText($("#log"), "There is no instance now.");
      return setText($("#log-told"), "");
    }
    const query = new URLSearchParams({ node: one.node, index: String(one.index), tail: String(LINES) });
    let why = "";
    const told = await ask(`/api/v1/services/${encodeURIComponent(name)}/logs?${query}`, (message) => (why = message));
    if (mine !== asked) return;
    if (told) show(told.lines, `as of ${clock(live.nowNs())} UTC`);
    else setText($("#log-told"), why);
  }

  function show(all, when) {
    lines = all;
    const place = $("#log"),
      text = $("#filter").value.toLowerCase(),
      some = text ? lines.filter((line) => line.toLowerCase().includes(text)) : lines,
      atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    setText(place, some.join("\n") || (text && lines.length ? "No line has this text." : "It has written nothing."));
    if (when) setText($("#log-told"), `${text ? `${some.length} of ` : ""}${plural(lines.length, "line")}, ${when}`);
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  chosen.addEventListener("change", () => {
    seen = null;
    choices(fleet.service(name)?.instances ?? []);
  });
  addEventListener("hashchange", () => {
    wanted = decodeURIComponent(location.hash.slice(1));
    draw();
  });
  $("#filter").addEventListener("input", () => show(lines, $("#log-told").textContent.replace(/^.*?, /, "")));
  $("#refresh").addEventListener("click", load);
  live.on("link", draw);
  draw();
}
