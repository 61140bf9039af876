// The head of the page of a device: state, cause and state machine.
import { $, $$, setClass, setText } from "./dom.js";
import { clock, value } from "./format.js";
import { Buttons } from "./buttons.js";
import { Chart } from "./chart.js";
import { setState } from "./parts.js";

const MOST_CAUSES = 3;
const GONE = {
  message: "The device host of this device is gone. The values below are the last known ones.",
};

// A cause with its own causes, in one line.
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
      effects: (command) => model.effects(command),
    });
    this.chart = new Chart(model.title);
  }

  refresh() {
    this.buttons.refresh();
    for (const lamp of $$("[data-lamp]")) {
      const row = this.model.row(lamp.dataset.lamp),
        point = this.model.points.get(lamp.dataset.lamp);
      // 2 and 3: stale and bad
      setClass(lamp, `st lamp s-${!row || row[1] > 1 ? "no_link" : row[0] ? "on" : "off"}`);
      setText($("b", lamp), value(point, row?.[0]));
    }
  }

  states() {
    const { model } = this;
    const state = model.state("");
    setState($(".head > .st"), model.gone && state ? { ...state, link: "disconnected" } : state, true);
    if (state) setText($("#since"), clock(state.since_ns));
    const active = model.channels.map((channel) => model.state(channel)).filter((one) => one?.active);
    setText($("#channels-on"), `${active.filter((one) => one.common === "on").length} of ${active.length}`);
    this.cause(state);
    this.chart.show(state?.state);
  }

  cause(state) {
    const cause = this.model.gone ? GONE : state?.cause;
    const banner = $("#cause");
    banner.hidden = !cause;
    banner.classList.toggle("l2", this.model.gone || state?.link !== "connected");
    if (cause) setText(banner, sentence(cause));
  }
}
