// The dialog with keys and signs, opened by "?".
import { $ } from "./dom.js";

export function help() {
  const dialog = $("#help");
  const open = () => {
    if ($("dialog[open]")) return;
    dialog.showModal();
    $("#help-close").focus({ preventScroll: true });
    dialog.scrollTop = 0;
  };
  $("#help-button").addEventListener("click", open);
  $("#help-close").addEventListener("click", () => dialog.close());
  addEventListener("keydown", (event) => {
    if (event.key === "?" && !event.target.closest("input, textarea, select") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      open();
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
