// The drawing of a state machine. The server draws it; the page marks the present state, scrolls it into sight and
// enlarges it.
import { $, $$, el, setText } from "./dom.js";

export class Chart {
  constructor(title) {
    this.place = $("#fsm");
    $("#fsm-large")?.addEventListener("click", () => this.enlarge(title));
    this.middle();
    if (this.place) new ResizeObserver(() => this.middle()).observe(this.place);
  }

  middle() {
    this.bringInSight(this.place && ($(".present", this.place) ?? $(".state", this.place)));
  }

  show(state) {
    if (!this.place) return;
    for (const node of $$(".state", this.place)) {
      const present = node.dataset.state === state;
      if (present && !node.classList.contains("present")) this.bringInSight(node);
      node.classList.toggle("present", present);
      setText($("text", node), (present ? "▶ " : "") + node.dataset.state);
    }
  }

  // The drawing is larger than its card: scroll the present state into the middle.
  bringInSight(node) {
    if (!node) return;
    const { place } = this,
      box = node.getBoundingClientRect(),
      around = place.getBoundingClientRect();
    place.scrollTop += box.top - around.top - (around.height - box.height) / 2;
    place.scrollLeft += box.left - around.left - (around.width - box.width) / 2;
  }

  enlarge(title) {
    const dialog = $("#confirm");
    const close = el("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Close");
    dialog.classList.add("wide");
    dialog.onclose = () => {
      dialog.classList.remove("wide");
      dialog.replaceChildren();
    };
    dialog.replaceChildren(
      el("h2", { id: "confirm-title" }, `State machine of ${title}`),
      el("div", { class: "fsm", tabindex: "0" }, $("svg", this.place).cloneNode(true)),
      el("div", { class: "bd acts" }, close),
    );
    dialog.showModal();
  }
}
