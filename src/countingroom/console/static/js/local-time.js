// Local time beside UTC, for those who choose it: in the top bar and behind every time of lists and facts.
import { $, $$, el, setText } from "./dom.js";

const KEY = "zone";
const two = (number) => String(number).padStart(2, "0");

function kept() {
  try {
    return localStorage.getItem(KEY) === "local";
  } catch {
    return false;
  }
}

function localClock(ms) {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

const zoneName = () =>
  new Intl.DateTimeFormat(undefined, { timeZoneName: "short" }).formatToParts(new Date()).find(({ type }) => type === "timeZoneName")?.value ?? "local";

// Adds the local time to every <time datetime> below the root.
function beside(root) {
  for (const node of $$("time[datetime]", root)) {
    if ($(".local", node)) continue;
    const ms = Date.parse(node.getAttribute("datetime"));
    if (!Number.isNaN(ms)) node.append(el("small", { class: "local" }, localClock(ms)));
  }
}

export function localTime(live) {
  const button = $("#zone"),
    clock = $("#local-now");
  let on = kept();
  const changes = new MutationObserver((records) => {
    for (const { addedNodes } of records)
      for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE && !node.classList.contains("local")) beside(node.parentElement ?? node);
  });
  const show = () => {
    button.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("local-times", on);
    clock.hidden = !on;
    changes.disconnect();
    for (const node of $$("time .local")) node.remove();
    if (!on) return;
    setText($("i", clock), zoneName());
    beside(document);
    changes.observe($("#main"), { childList: true, subtree: true });
  };
  button.addEventListener("click", () => {
    on = !on;
    try {
      localStorage.setItem(KEY, on ? "local" : "utc");
    } catch {
      /* it holds for this page */
    }
    show();
  });
  setInterval(() => {
    if (on) setText($("b", clock), localClock(live.nowNs() / 1e6));
  }, 250);
  show();
}
