// The confirmation dialog: what will change, for how long and what it affects. The button repeats the value.
import { $, el } from "./dom.js";

// Open runs, shown to the user of a device: a command to a device can harm them.
export function meanwhile(live) {
  const running = Object.entries(live.partitions).filter(([, one]) => one.run && !one.gone_ns);
  return running.length ? [["Meanwhile", running.map(([name, { run }]) => `${name} takes run ${run}`).join(", ")]] : [];
}

// rows: [term, text]; fields: DOM to fill in; check(): why it cannot be sent yet, or ""; safe: it leads to a safe state, so
// it is sent without a link too. Resolves true when confirmed.
export function confirm(live, { title, rows, button, dangerous = false, safe = false, fields = null, check = () => "" }) {
  const dialog = $("#confirm");
  const wrong = el("p", { class: "wrong", role: "alert" });
  const go = el("button", { class: dangerous ? "btn danger" : "btn primary", type: "button" }, button);
  const cancel = el("button", { class: "btn", type: "button" }, "Cancel");
  const judge = () => {
    const why = live.trusted || safe ? check() : "The link is lost: nothing can be sent.";
    go.disabled = Boolean(why);
    if (wrong.textContent !== why) wrong.textContent = why;
    return !why;
  };
  const list = el("dl", { class: "dl" }, ...rows.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]));
  dialog.replaceChildren(
    el("h2", { id: "confirm-title" }, title),
    el("div", { class: "bd" }, list, fields, wrong, el("div", { class: "acts" }, cancel, go)),
  );
  return new Promise((resolve) => {
    let sure = false;
    const timer = setInterval(judge, 300);
    cancel.onclick = () => dialog.close();
    go.onclick = () => {
      if (judge()) {
        sure = true;
        dialog.close();
      }
    };
    dialog.oninput = judge;
    dialog.onkeydown = (event) => {
      if (event.key === "Enter" && event.target.matches("input, select")) {
        event.preventDefault();
        go.click();
      }
    };
    dialog.onclose = () => {
      clearInterval(timer);
      resolve(sure);
    };
    judge();
    dialog.showModal();
    (fields?.querySelector("input, select") ?? (dangerous ? cancel : go)).focus();
  });
}
