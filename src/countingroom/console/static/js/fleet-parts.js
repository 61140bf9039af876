// Pieces of the pages of the fleet.
import { $, el } from "./dom.js";
import { clock, moment } from "./format.js";
import { glyph } from "./parts.js";
import { isOld, judged, nodePage, placeOf, runs, servicePage, since, wrongChange } from "./fleet-model.js";

const DISCS = { healthy: "on", starting: "part", exited: "off", unhealthy: "part" };

// Images that nodes get at present: [node, pull].
export function pullRows(pulls, nowNs) {
  return pulls.map(([node, { image, done_bytes: done, whole_bytes: whole, since_ns: sinceNs }]) => {
    const amount = whole ? `${(done / 1e6).toFixed(1)} of ${(whole / 1e6).toFixed(1)} MB` : "under way";
    return el(
      "div",
      { class: "fl-pull", "data-pull": `${node} ${image}` },
      nodeLink(node),
      el("span", {}, image),
      el("progress", { "aria-label": `Pull of ${image} on ${node}`, ...(whole ? { value: done, max: whole } : {}) }),
      el("span", { class: "num" }, amount, el("small", {}, ` since ${since(sinceNs, nowNs)}`)),
    );
  });
}

// Puts these in the place where they differ from what is there, and keeps the focus on what had it.
export function put(place, nodes) {
  const fresh = nodes.filter(Boolean);
  const text = fresh.map((node) => node.outerHTML).join("");
  if (place.drawn === text) return;
  place.drawn = text;
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  const key = held && (held.dataset.key || held.getAttribute("href"));
  place.replaceChildren(...fresh);
  if (key) ($(`[data-key="${CSS.escape(key)}"]`, place) ?? $(`[href="${CSS.escape(key)}"]`, place))?.focus();
}

export const fact = (name, text, more = "") => el("div", { class: "kv" }, el("i", {}, name), el("b", {}, text, more ? el("small", {}, ` ${more}`) : null));

export const sign = (level) => (level ? glyph(level) : null);

export const disc = (kind, word) => el("span", { class: `st s-${kind}` }, el("span", { class: "dot", "aria-hidden": "true" }), el("b", {}, word));

export function health(one, isOff = false) {
  const [level, word, more] = judged(one, isOff);
  const kind = !one.is_known ? "no_link" : one.doing ? "part" : (DISCS[one.health] ?? "off");
  return el("td", { class: level === 4 ? "stale" : null }, el("span", { class: "fl-word" }, disc(kind, word), sign(level === 4 ? 0 : level)), more ? el("small", {}, more) : null);
}

// A row of the table of instances; `first`: its first cell.
export function instanceRow(first, service, one, { nowNs, isOff = false }) {
  const [level] = judged(one, isOff);
  return el(
    "tr",
    { class: `l${level}`, "data-instance": placeOf(one) },
    el("td", {}, first),
    health(one, isOff),
    el("td", { class: "nw" }, runs(one), one.health === null || !isOld(service, one) ? null : el("span", { class: "badge mark", title: "not as it is wanted now" }, "old")),
    el("td", { class: "num" }, String(one.crashes)),
    el("td", { class: "num nw" }, since(one.since_ns, nowNs)),
  );
}

export const nodeLink = (name) => el("a", { href: nodePage(name) }, el("b", {}, name));
export const serviceLink = (name, one = null) => el("a", { href: servicePage(name, one) }, el("b", {}, name));

export const stepLines = (all) => all.map(([ns, text]) => el("li", { class: /failed|going back|given up/.test(text) ? "bad" : null }, el("time", { datetime: new Date(ns / 1e6).toISOString(), title: `${moment(ns)} UTC` }, clock(ns)), el("span", {}, text)));

// What is dangerous in how a node is reached, or null.
export const warned = (node) => (node.warning ? el("span", { class: "fl-note" }, sign(3), ` ${node.warning}`) : null);

// Banners of changes that went wrong, each with a link to its service.
export function banners(services, nowNs, own = false) {
  return services.flatMap((service) => {
    const text = wrongChange(service, nowNs);
    if (!text) return [];
    const { suggestion } = service.cause ?? {};
    return [el("div", { class: "banner cause l2", "data-service": service.service }, el("span", {}, own ? text : el("a", { href: servicePage(service.service) }, text), suggestion ? el("small", {}, ` ${suggestion}`) : null))];
  });
}
