// Buttons that the server rendered: disabled, with the reason, while their command is refused.
import { $$ } from "./dom.js";
import { denied } from "./denied.js";

export function mark(button, why) {
  if (button.dataset.why === why) return;
  button.dataset.why = why;
  button.setAttribute("aria-disabled", String(Boolean(why)));
}

// Why this command is refused to this user over this link, or "".
export function refusal(live, command) {
  if (!live.trusted) return "The link is lost: commands are disabled.";
  const cause = denied[command];
  return cause ? cause.message + (cause.suggestion ? `; ${cause.suggestion}` : "") : "";
}

// A button that does this where the role and the link allow it, and says why where they do not.
export function command(live, button, name, does) {
  const judge = () => mark(button, refusal(live, name));
  live.on("link", judge);
  judge();
  button.addEventListener("click", () => button.getAttribute("aria-disabled") !== "true" && does());
}

export function acts(live) {
  live.on("link", () => {
    for (const button of $$("[data-acts]")) mark(button, refusal(live, button.dataset.acts));
  });
  const hold = (event) => {
    if (!event.target.closest?.("[data-acts][aria-disabled=true]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("click", hold, true);
}
