// Local time beside UTC, for those who choose it: in the top bar and behind every time of lists and facts. Charts and
// their ranges follow by themselves (zone.js).
import { $, $$, el, setText } from "./dom.js";
import { chooseZone, isLocal, localName } from "./zone.js";

const two = (number) => String(number).padStart(2, "0");

// With the day where it is another one than that of UTC.
function localClock(ms) {
  const at = new Date(ms),
    time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.getDate() === at.getUTCDate() ? time : `${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

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
  const changes = new MutationObserver((records) => {
    for (const { addedNodes } of records)
      for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE && !node.classList.contains("local")) beside(node.parentElement ?? node);
  });
  const show = () => {
    const on = isLocal();
    button.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("local-times", on);
    clock.hidden = !on;
    changes.disconnect();
    for (const node of $$("time .local")) node.remove();
    if (!on) return;
    setText($("i", clock), localName(live.nowNs() / 1e9));
    beside(document);
    changes.observe($("#main"), { childList: true, subtree: true });
  };
  button.addEventListener("click", () => {
    chooseZone(!isLocal());
    show();
  });
  setInterval(() => {
    if (isLocal()) setText($("b", clock), localClock(live.nowNs() / 1e6));
  }, 250);
  show();
}
