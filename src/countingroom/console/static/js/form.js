// Forms that a script sends once; a refusal is shown beside the form with its suggestion.
import { $, el } from "./dom.js";
import { post } from "./post.js";

export function tell(node, cause) {
  node.replaceChildren(
    ...(cause ? [el("b", {}, cause.message), cause.suggestion ? el("div", {}, `→ ${cause.suggestion}`) : null] : []).filter(Boolean),
  );
}

export function form(selector, path, body, done) {
  const node = $(selector);
  if (!node) return;
  const told = el("p", { class: "told", role: "alert" });
  node.append(told);
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $("button[type=submit]", node);
    button.disabled = true;
    const asked = body(new FormData(node));
    const answer = asked.refused ? { done: false, cause: asked.refused } : await post(typeof path === "function" ? path() : path, asked);
    button.disabled = false;
    tell(told, answer.done ? null : answer.cause);
    if (answer.done) done(answer.told, node);
  });
}

export function twice(data) {
  if (data.get("password") === data.get("again")) return null;
  return { message: "The two passwords differ.", suggestion: "Write the same twice." };
}
