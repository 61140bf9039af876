// Law: the head of the device page says how the device stands, why, and where that is in its state machine.
import { $, $$, el, setText } from "./dom.js";
import { clock } from "./format.js";
import { Buttons } from "./buttons.js";
import { setState } from "./parts.js";

const MOST_CAUSES = 3;
const GONE = {
  message: "Nobody answers for this device: its device host is gone. The values below are the last that were heard.",
};

// A cause with those under it, in one line.
function sentence(cause) {
  const under = (cause.causes ?? []).slice(0, MOST_CAUSES).map(sentence);
  return [cause.message + (cause.suggestion ? ` → ${cause.suggestion}` : ""), ...under].join(" · ");
}

export class Head {
  constructor(live, model) {
    this.model = model;
    this.buttons = new Buttons(live, $("#device-commands"), {
      device: model.device,
      title: model.title,
      commands: model.commands("device"),
      state: () => model.state(""),
    });
    $("#fsm-large")?.addEventListener("click", () => this.enlarge());
  }

  refresh() {
    this.buttons.refresh();
  }

  states() {
    const { model } = this;
    const state = model.state("");
    setState($(".head > .st"), model.gone && state ? { ...state, link: "disconnected" } : state, true);
    if (state) setText($("#since"), clock(state.since_ns));
    const active = model.channels.map((channel) => model.state(channel)).filter((one) => one?.active);
    setText($("#channels-on"), `${active.filter((one) => one.common === "on").length} of ${active.length}`);
    this.cause(state);
    for (const node of $$("#fsm .state")) {
      const present = node.dataset.state === state?.state;
      node.classList.toggle("present", present);
      setText($("text", node), (present ? "▶ " : "") + node.dataset.state);
    }
  }

  cause(state) {
    const cause = this.model.gone ? GONE : state?.cause;
    const banner = $("#cause");
    banner.hidden = !cause;
    banner.classList.toggle("l2", this.model.gone || state?.link !== "connected");
    if (cause) setText(banner, sentence(cause));
  }

  enlarge() {
    const dialog = $("#confirm");
    const close = el("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Close");
    dialog.classList.add("wide");
    dialog.onclose = () => {
      dialog.classList.remove("wide");
      dialog.replaceChildren();
    };
    dialog.replaceChildren(
      el("h2", { id: "confirm-title" }, `State machine of ${this.model.title}`),
      el("div", { class: "fsm", tabindex: "0" }, $("#fsm svg").cloneNode(true)),
      el("div", { class: "bd acts" }, close),
    );
    dialog.showModal();
  }
}
