// The search dialog, opened by "/": pages, devices, channels, points, systems, runs and events. Arrow keys choose, Enter opens, Escape closes.
import { $, $$, el } from "./dom.js";
import { titles } from "./shell.js";

let asked = null;

// Asked once. A second call while the first still waits gets the same answer: it used to get the part that was there.
const everything = () => (asked ??= collect());

async function collect() {
  const things = $$(".nav a:not([data-partition]):not([data-device])").map((a) => [a.textContent.trim(), "page", a.getAttribute("href")]);
  things.push(["Account", "page", "/account"]);
  for (const a of $$(".nav [data-partition]")) things.push([a.dataset.partition, "partition", a.getAttribute("href")]);
  for (const [device, title] of Object.entries(titles)) things.push([title, "device", `/devices/${device}`]);
  for (const [device, title] of Object.entries(titles)) {
    const answer = await fetch(`/api/v1/devices/${device}`);
    if (!answer.ok) continue;
    const { catalogue } = await answer.json();
    for (const channel of catalogue.channels) {
      things.push([
        `${title} ch ${channel} ${catalogue.channel_labels[channel] ?? ""}`,
        "channel",
        `/devices/${device}#${channel}`,
      ]);
    }
    for (const point of catalogue.points) {
      const label = point.channel ? `ch ${point.channel} ${point.label || point.column}` : point.label || point.name;
      things.push([`${title} ${label}`, `${device}.${point.name}`, `/devices/${device}#${point.name}`]);
    }
  }
  things.push(...(await systems()), ...(await fleet()));
  return things;
}

async function told(path) {
  const answer = await fetch(path).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

// Where a system is seen best: on the page of its partition.
async function systems() {
  if (!$(".nav [data-partition]")) return [];
  const found = (await told("/api/v1/systems"))?.systems ?? [];
  return found.flatMap(({ system, states = {} }) => {
    const places = [...new Set(Object.values(states).map((one) => one.partition).filter(Boolean))];
    if (!places.length) return [[system, "system in no partition", "/detectors"]];
    return places.map((place) => [system, `system of ${place}`, `/partitions/${encodeURIComponent(place)}`]);
  });
}

async function fleet() {
  if (!$(".nav a[href='/fleet']")) return [];
  const [nodes, services] = await Promise.all([told("/api/v1/nodes"), told("/api/v1/services")]);
  return [
    ...(services?.services ?? []).map(({ service, title }) => [title ? `${service} ${title}` : service, "service", `/services/${encodeURIComponent(service)}`]),
    ...(nodes?.nodes ?? []).map(({ node }) => [node, "node", `/nodes/${encodeURIComponent(node)}`]),
  ];
}

const MOST_FOUND = 5;

// Runs and events, which only the server can search.
async function searched(text) {
  const plain = text.trim(),
    number = /^(?:run\s*)?(\d+)$/i.exec(plain)?.[1];
  if (plain.length < 2 && !number) return [];
  const query = new URLSearchParams({ text: plain, limit: String(MOST_FOUND) });
  const hasRuns = Boolean($(".nav a[href='/runs']"));
  const [numbered, runs, events] = await Promise.all([
    hasRuns && number ? told(`/api/v1/runs?before=${Number(number) + 1}&limit=1`) : null,
    hasRuns ? told(`/api/v1/runs?${query}`) : null,
    told(`/api/v1/events?${query}`),
  ]);
  const exact = (numbered?.runs ?? []).filter((run) => run.number === Number(number)),
    others = (runs?.runs ?? []).filter((run) => run.number !== Number(number));
  const about = encodeURIComponent(plain);
  return [
    ...[...exact, ...others].map((run) => [`Run ${run.number}`, `run of ${run.partition}${run.tag ? `, ${run.tag}` : ""}`, `/runs/${run.number}`]),
    ...(events?.events ?? []).map((event) => [event.message, `event of ${event.source}`, `/events?text=${about}`]),
  ];
}

export function matches(all, text, most = 30) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const one of all) {
    const told = `${one[0]} ${one[1]}`.toLowerCase();
    if (wanted.every((word) => told.includes(word)) && found.push(one) >= most) break;
  }
  return found;
}

const PAUSE_MS = 200; // after the last key, before the server is asked

// more(text): asked of the server for what is not in `all`.
export function choose(input, list, { all, show, pick, more = null }) {
  let found = [],
    at = 0,
    timer = null;
  const option = (one, index) =>
    el(
      "li",
      {
        role: "option",
        "aria-selected": String(index === at),
        onmousedown: (event) => {
          event.preventDefault();
          pick(one);
        },
      },
      ...show(one),
    );
  const put = (pending) => {
    const nothing = el("li", { class: "mut nothing", role: "option", "aria-disabled": "true" }, pending ? "Searching …" : `Nothing is found for “${input.value.trim()}”.`);
    list.replaceChildren(...(found.length || !input.value.trim() ? found.map(option) : [nothing]));
  };
  const draw = async () => {
    const text = input.value,
      here = matches(await all(), text);
    if (input.value !== text) return;
    [found, at] = [here, 0];
    clearTimeout(timer);
    put(Boolean(more && text.trim()));
    if (!more || !text.trim()) return;
    timer = setTimeout(async () => {
      const others = await more(text);
      if (input.value !== text) return;
      found = [...here, ...others];
      put(false);
    }, PAUSE_MS);
  };
  const move = (step) => {
    if (!found.length) return;
    list.children[at]?.setAttribute("aria-selected", "false");
    at = (at + step + found.length) % found.length;
    list.children[at].setAttribute("aria-selected", "true");
    list.children[at].scrollIntoView({ block: "nearest" });
  };
  input.addEventListener("input", draw);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      move(step);
    }
    if (event.key === "Enter" && found[at]) {
      event.preventDefault();
      pick(found[at]);
    }
  });
  return draw;
}

export function finder() {
  const dialog = $("#finder");
  const input = el("input", {
    type: "text",
    placeholder: "Find a device, point, system, run, event or page",
    "aria-label": "Find",
    autocomplete: "off",
  });
  const list = el("ul", { role: "listbox", "aria-label": "Found" });
  dialog.append(input, list);
  const go = (one) => {
    dialog.close();
    const before = location.pathname;
    location.assign(one[2]);
    if (one[2].startsWith(before + "#")) dispatchEvent(new HashChangeEvent("hashchange"));
  };
  const draw = choose(input, list, {
    all: everything,
    show: ([what, kind]) => [el("span", {}, what), el("small", {}, kind)],
    pick: go,
    more: searched,
  });
  const open = () => {
    if (!$("dialog[open]")) {
      input.value = "";
      dialog.showModal();
      input.focus();
      draw();
    }
  };
  $("#find-button").addEventListener("click", open);
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      open();
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
