// Replaces parts of a page that the server renders from the run book, after something was written there.
import { $ } from "./dom.js";

const SOON_MS = 1000;
const WHILE_RUNNING_MS = 20_000;
const WRITTEN_BY = ["run_began", "run_over", "run_flag", "comment", "flag", "include", "exclude", "result"]; // what the book takes down

// Returns a function that asks for it soon. selectors: the parts that are replaced; running(): whether a run is open, so that they change by themselves.
export function anew(live, selectors, running) {
  let timer = null,
    busy = false;
  const load = async () => {
    timer = null;
    if (busy || !live.trusted) return;
    busy = true;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
    busy = false;
    if (!answer?.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const selector of selectors) {
      const [old, fresh] = [$(selector), $(selector, page)];
      if (old && fresh && old.outerHTML !== fresh.outerHTML) put(document.adoptNode(fresh), old);
    }
  };
  live.on("event", ({ action }) => {
    if (WRITTEN_BY.includes(action)) timer ??= setTimeout(load, SOON_MS);
  });
  live.on("change", ({ snapshot }) => {
    if (snapshot) timer ??= setTimeout(load, SOON_MS);
  });
  setInterval(() => {
    if (running() && !document.hidden) load();
  }, WHILE_RUNNING_MS);
  return () => {
    timer ??= setTimeout(load, SOON_MS);
  };
}

// Replace the old part and keep the focus.
function put(fresh, old) {
  const held = document.activeElement;
  const href = old.contains(held) && held.getAttribute("href");
  const again = held === old ? fresh : href ? $(`[href="${CSS.escape(href)}"]`, fresh) : null;
  old.replaceWith(fresh);
  again?.focus();
}
