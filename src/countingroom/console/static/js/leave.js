// Law: a login is left by a POST, and nothing of the page stays.
import { $ } from "./dom.js";
import { post } from "./post.js";
import { note } from "./shell.js";

export function leaving() {
  $("#log-out")?.addEventListener("click", async () => {
    const answer = await post("/api/v1/logout");
    if (answer.done) location.replace("/login");
    else note(answer.cause.message, { bad: true, detail: answer.cause.suggestion });
  });
}
