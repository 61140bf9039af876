// Logout: a POST, then the login page.
import { $ } from "./dom.js";
import { post } from "./post.js";
import { note } from "./shell.js";

export function leaving(live) {
  $("#log-out")?.addEventListener("click", async () => {
    live.leave();
    const answer = await post("/api/v1/logout");
    if (answer.done) return location.replace("/login");
    live.stay();
    note(answer.cause.message, { bad: true, detail: answer.cause.suggestion });
  });
}
