// The search dialog, opened by "/": pages, devices, channels and points. Arrow keys choose, Enter opens, Escape closes.
import { $, $$, el } from "./dom.js";
import { titles } from "./shell.js";

let things = null;

async function everything() {
  if (things) return things;
  things = $$(".nav a:not([data-partition]):not([data-device])").map((a) => [a.textContent.trim(), "page", a.getAttribute("href")]);
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
  return things;
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

export function choose(input, list, { all, show, pick }) {
  let found = [],
    at = 0;
  const draw = async () => {
    found = matches(await all(), input.value);
    at = 0;
    list.replaceChildren(
      ...found.map((one, index) =>
        el(
          "li",
          {
            role: "option",
            "aria-selected": String(index === 0),
            onmousedown: (event) => {
              event.preventDefault();
              pick(one);
            },
          },
          ...show(one),
        ),
      ),
    );
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
    placeholder: "Find a device, channel, point or page",
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
