// What the states of the fleet say: what is abnormal, how bad, and in which words.
import { $, data } from "./dom.js";
import { clock, moment } from "./format.js";

export const FLEET = "/api/v1/fleet";
const PREFIXES = ["fleet.", "node.", "service."];
const DOING = { make: "being made", replace: "being replaced", start: "being started", remove: "being ended", pull: "pulls its image" };
const CRASHES_OF_A_LOOP = 3;

// The states, kept current by the feed. changed(): they are other ones; it is called soon after.
export class FleetStates {
  constructor(live, changed) {
    this.states = new Map(Object.entries(data.fleet));
    live.watch = { devices: ["*"], points: [], states: true, events: true, partitions: [""] };
    live.on("change", ({ states, alarms, snapshot }) => {
      if (alarms) $("#not-kept").hidden = live.kept || !this.states.size;
      const mine = (key) => PREFIXES.some((prefix) => key.startsWith(prefix));
      if (snapshot) this.states = new Map([...live.states].filter(([key]) => mine(key)));
      const news = Object.entries(states).filter(([key]) => mine(key));
      for (const [key, state] of news) {
        if (state === null) this.states.delete(key);
        else this.states.set(key, state);
      }
      if (snapshot || news.length) this.soon(changed);
    });
    this.pauseMs = 0;
    this.timer = null;
  }

  // A large fleet is drawn more rarely: drawing takes at most a tenth of the time.
  soon(changed) {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      const began = performance.now();
      changed();
      this.pauseMs = 9 * (performance.now() - began);
    }, this.pauseMs);
  }

  get whole() {
    return this.states.get("fleet.main") ?? null;
  }
  get nodes() {
    return this.of("node.");
  }
  get services() {
    return this.of("service.");
  }
  of(prefix) {
    return [...this.states].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })).map(([, state]) => state);
  }
  node(name) {
    return this.states.get(`node.${name}`) ?? null;
  }
  service(name) {
    return this.states.get(`service.${name}`) ?? null;
  }
}

export const nodePage = (name) => `/nodes/${encodeURIComponent(name)}`;
export const servicePage = (name, one = null) => `/services/${encodeURIComponent(name)}${one ? `#${placeOf(one)}` : ""}`;
export const placeOf = ({ node, index }) => (index ? `${node}#${index}` : node);
export const runs = ({ version, revision }) => version || (revision ? `r${revision}` : "–");
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// Today's times without the date.
export function since(ns, nowNs) {
  if (!ns) return "–";
  return Math.abs(nowNs - ns) < 43_200e9 ? clock(ns) : moment(ns).slice(5, 16);
}

// One instance: [level, word, more]. Levels are those of alarms; 4: not known.
export function judged(one, isOff = false) {
  if (!one.is_known) return [4, "not known", "its node does not answer"];
  if (one.doing) return [0, DOING[one.doing] ?? one.doing, one.reason];
  if (isOff) return [0, one.health ?? "ended", ""];
  if (one.health === null) return [2, "missing", one.reason];
  if (one.health === "exited") {
    const status = one.exit_status === null ? "" : `status ${one.exit_status}`;
    return [2, one.crashes >= CRASHES_OF_A_LOOP ? "crash loop" : "ended", [status, one.reason].filter(Boolean).join(": ")];
  }
  if (one.health === "unhealthy") return [2, "unhealthy", one.reason];
  if (one.drift.length) return [3, "changed by hand", one.drift.join(", ")];
  return [0, one.health, one.health === "starting" ? one.reason : ""];
}

// Not as its service is wanted now. One on a node that is set aside is not judged by the keeper: its revision says it.
export const isOld = (service, one) => !one.is_current && one.revision !== service.revision;

export const healthy = (service) => service.instances.filter((one) => one.is_known && one.health === "healthy").length;
export const ends = (service) => service.instances.reduce((sum, one) => sum + one.crashes, 0);
const PHASES = {
  rolling: "is being changed",
  rolling_back: "is being rolled back",
  rolled_back: "rolled back",
  failed: "change failed",
  held: "change halted",
};
export const phase = (service) => PHASES[service.phase] ?? "";
// The instance that its cause names: the one whose failure ended the change.
export const culprit = ({ service, cause, instances }) => instances.find((one) => cause && `${cause.message} `.startsWith(`${service}@${placeOf(one)} `)) ?? null;

// Revision or version that is wanted; on the way back both revisions.
export const wantedNow = ({ version, revision, target }) => (version && target === revision ? version : target === revision ? `r${revision}` : `r${target} → r${revision}`);
export const isUnderWay = (service) => ["rolling", "rolling_back", "held"].includes(service.phase);

// One service: its level, and what is seen of it in words.
export function serviceNow(service) {
  if (service.disabled) return { level: 0, text: `disabled by ${service.disabled.by}: ${service.disabled.reason}` };
  const counts = new Map();
  let level = 0;
  for (const one of service.instances) {
    const isToCome = one.is_known && one.health === null && !one.doing && isUnderWay(service); // not abnormal
    const [bad, word] = isToCome ? [0, "not made yet"] : judged(one);
    if (bad && (!level || bad < level)) level = bad;
    if (word !== "healthy") counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const said = [...counts].map(([word, count]) => `${count} ${word}`);
  if (["rolling_back", "rolled_back", "failed"].includes(service.phase)) level = level === 1 ? 1 : 2;
  if (service.phase !== "done") said.unshift(phase(service));
  if (!service.is_wanted) said.unshift("no longer wanted");
  return { level, text: said.join(", ") || "as wanted" };
}

// The sentence of a banner, or "".
export function wrongChange(service, nowNs) {
  const { service: name, cause, target, revision, since_ns: at } = service;
  const why = cause ? `: ${cause.message}` : "";
  if (service.phase === "rolling_back") return `${name} is being rolled back from r${target} to r${revision}${why}`;
  if (service.phase === "rolled_back") return `${name} was rolled back from r${target} to r${revision} at ${since(at, nowNs)}${why}`;
  if (service.phase === "failed") return `The change of ${name} to r${target} failed at ${since(at, nowNs)}, and nothing more is changed${why}`;
  return "";
}

export function nodeNow(node, nowNs) {
  if (!node.is_reachable) return { level: 4, word: "lost", note: `no answer since ${since(node.since_ns, nowNs)}${node.cause ? `: ${node.cause.message}` : ""}; it is left as it is` };
  if (node.cordon) return { level: 0, word: node.cordon.drain ? "drained" : "cordoned", note: aside(node.cordon, nowNs) };
  return { level: 0, word: "up", note: "" };
}

export function aside({ reason, by, until_ns: until }, nowNs) {
  return `${reason} · ${by}, ${until ? `until ${since(until, nowNs)}, then free again by itself` : "until it is used again by hand"}`;
}

// The steps of a change: [time in ns, sentence].
export const steps = (service) => service.log.map((line) => [Number(line.slice(0, line.indexOf(" "))), line.slice(line.indexOf(" ") + 1)]);
