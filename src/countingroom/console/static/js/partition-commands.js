// The buttons of a partition, made from the table of commands that the page brings. Their places are fixed; a command that
// acts on the whole partition shows what it will do before it is sent.
import { mark } from "./acts.js";
import { $, el, setText } from "./dom.js";
import { boxed, formOf, tellOutcome } from "./buttons.js";
import { tellPartition } from "./commands.js";
import { confirm } from "./confirm.js";
import { words } from "./format.js";
import { planned } from "./plan-dialog.js";
import { showSelection, showSingle } from "./selection-preview.js";

// Commands that move the partition along its states: their dialog shows the plan.
const MOVES = new Set(["configure", "configure_all", "reconfigure", "start", "stop"]);

const BRIEF = new Set(["configure_all", "start", "stop", "abort"]);

const labelOf = (row) => row.label + (row.confirmed ? "…" : "");

// A command without a dialog of its own: what it does and what it takes are in its row.
async function askAndSend(live, model, row, send) {
  const seen = model.state.state;
  const { fields, read, check } = formOf(row.arguments);
  if (row.confirmed || row.arguments.length) {
    const rows = [
      ["Now", words(seen)],
      ["Does", row.description],
    ];
    const title = `${model.name}: ${row.label}?`;
    if (!(await confirm(live, { title, rows, button: row.label, dangerous: row.dangerous, fields, check }))) return;
  }
  await send(row.name, read(), seen);
}

export class Commands {
  // brief: a card has room for those that can be given now, and for stop and abort of a run. only: the names of those
  // that have a button here.
  constructor(live, model, { place = $("#partition-commands"), brief = false, only = null } = {}) {
    Object.assign(this, { live, model, brief });
    const rows = model.commandsAt("head").filter((row) => !only || only.includes(row.name));
    this.buttons = new Map(rows.map((row) => [row.name, this.button(row)]));
    place.replaceChildren(...this.buttons.values());
    this.refresh();
  }

  button(row) {
    const kind = row.dangerous ? "btn danger" : "btn";
    return el("button", { class: kind, type: "button", "data-command": row.name, onclick: () => this.press(row) }, labelOf(row));
  }

  refresh() {
    for (const [command, button] of this.buttons) {
      const why = this.model.why(command);
      mark(button, why);
      if (this.brief) button.hidden = this.isLeftOut(command, why);
      else if (command === "reconfigure") button.hidden = !this.model.state?.members.some((one) => one.in_place);
    }
  }

  isLeftOut(command, why) {
    if (!BRIEF.has(command)) return true;
    return this.model.makesSafe(command) ? !this.model.state?.run && Boolean(why) : Boolean(why);
  }

  async press(row) {
    if (this.model.why(row.name)) return;
    if (row.name === "select") await this.select();
    else if (row.name === "abort") await this.abort();
    else if (MOVES.has(row.name)) await this.move(row.name);
    else await askAndSend(this.live, this.model, row, (...asked) => this.send(...asked));
  }

  async move(command) {
    const { model } = this;
    const length = el("input", { name: "seconds", inputmode: "decimal", autocomplete: "off", placeholder: "until it is stopped" });
    const comment = el("input", { name: "comment", autocomplete: "off", maxlength: "500" });
    const fields = el("div", {}, boxed("Stop by itself after", length, "s"), boxed("Comment", comment, ""));
    const { run } = model.state;
    const known = el("input", { name: "while_recording", type: "checkbox" });
    const asked = {
      configure: { title: `Configure ${model.name}`, goal: model.next },
      configure_all: { title: `Configure all of ${model.name}`, goal: model.top },
      reconfigure: {
        title: `Reconfigure ${model.name} in place`,
        goal: model.state.state,
        inPlace: true,
        fields: run ? el("p", {}, el("label", {}, known, ` Change the conditions of run ${run}. The run book notes what changed and when.`)) : null,
        check: () => (run && !known.checked ? `Run ${run} is open: say that its conditions may change.` : ""),
      },
      start: { title: `Start a run of ${model.name}`, goal: model.rests.at(-1), fields },
      stop: { title: `Stop the run of ${model.name}`, goal: model.top },
    }[command];
    const button = { start: "Start the run", reconfigure: "Reconfigure", stop: `Stop run ${model.state.run}` }[command] ?? `Configure to ${words(asked.goal)}`;
    const sure = await planned(this.live, model, { ...asked, button, safe: model.makesSafe(command) });
    if (!sure) return;
    const values = command === "reconfigure" && run ? { while_recording: true } : {};
    if (command === "start") {
      const given = Number(length.value.trim().replace(",", "."));
      if (length.value.trim() && Number.isFinite(given) && given > 0) values.seconds = given;
      if (comment.value.trim()) values.comment = comment.value.trim();
    }
    await this.send(command, values, sure.seen);
  }

  async abort() {
    const { model } = this,
      seen = model.state.state;
    const sure = await confirm(this.live, {
      title: `Abort ${model.name}?`,
      rows: [
        ["Now", words(seen)],
        ...(this.live.trusted ? [] : [["No link", `the state shown here is ${this.live.oldness}`]]),
        ["Then", words(model.rests[0])],
        ["Does", "everything goes down together; a run is closed as aborted"],
        ["Affects", `${model.state.members.filter((one) => one.included).length} systems`],
      ],
      button: `Abort ${model.name}`,
      dangerous: true,
      safe: true,
    });
    if (sure) await this.send("abort", {}, null);
  }

  async select() {
    const { model } = this;
    const answer = await fetch(`/api/v1/partitions/${encodeURIComponent(model.name)}/tags`);
    const tags = answer.ok ? (await answer.json()).tags.map((one) => one.name) : [];
    const option = (name, text = name) => el("option", { value: name, selected: name === model.state.tag }, text);
    const whole = el("select", { name: "tag" }, option("", tags.length ? "choose" : "no tag covers exactly its systems"), ...tags.map((name) => option(name)));
    const systems = el("select", { name: "system" }, option("", "as the tag says"), ...model.state.members.map((one) => option(one.system)));
    const single = el("select", { name: "single" }, option("", "–"));
    systems.onchange = async () => {
      const told = systems.value ? await (await fetch(`/api/v1/configurations?system=${encodeURIComponent(systems.value)}`)).json() : { configurations: [] };
      single.replaceChildren(option("", "–"), ...told.configurations.map((one) => option(one.tag)));
    };
    const custom = () => systems.value && single.value;
    const touched = el("div", { class: "preview", "aria-live": "polite" });
    const show = () => (systems.value ? showSingle(touched, model, systems.value) : showSelection(touched, model, whole.value));
    whole.addEventListener("change", show);
    systems.addEventListener("change", show);
    show();
    const sure = await confirm(this.live, {
      title: `Configuration of ${model.name}`,
      rows: [
        ["Selected", model.state.tag || "none"],
        ["Now", `nothing: ${model.name} stays in ${words(model.state.state)}; Start is refused until Configure where something differs`],
      ],
      fields: el("div", {}, boxed("Tag for all systems", whole, ""), boxed("Or one system", systems, ""), boxed("Its configuration", single, ""), touched),
      button: "Select",
      check: () => (systems.value ? (single.value ? "" : "Choose its configuration.") : whole.value ? "" : "Choose a tag."),
    });
    if (!sure) return;
    if (custom()) await this.send("select_one", { system: systems.value, tag: single.value }, null);
    else await this.send("select", { tag: whole.value }, null);
  }

  // Commands of one system. Excluding is confirmed, so that one wrong click takes no system out of a run.
  async member(command, system) {
    const { model } = this;
    if (model.why(command)) return;
    const { state, run } = model.state,
      one = model.state.members.find((member) => member.system === system);
    if (command === "exclude" || command === "include") {
      const [verb, does] =
        command === "exclude"
          ? ["Exclude", `${model.name} goes on without it; it keeps its state`]
          : ["Include", "it is configured with the others at the next Configure"];
      const rows = [
        ["Now", `${words(one.own)} in ${model.name}, which is ${words(state)}`],
        ["Does", does],
        ["Affects", run ? `run ${run}: it is noted there` : "no run"],
        ...(command === "exclude" && one.critical ? [["Critical", `yes: by its template ${model.name} needs it`]] : []),
      ];
      if (!(await confirm(this.live, { title: `${verb} ${system}?`, rows, button: `${verb} ${system}` }))) return;
    } else {
      const row = model.commandsAt("system").find(({ name }) => name === command);
      const rows = [["Does", row.description]];
      if (row.confirmed && !(await confirm(this.live, { title: `${row.label} ${system}?`, rows, button: row.label, dangerous: row.dangerous }))) return;
    }
    await this.send(command, { system }, state);
  }

  async send(command, values, seenState) {
    const answer = await tellPartition(this.live, this.model.name, command, { values, seenState });
    await tellOutcome(`${this.model.name}: ${words(command)}`, answer);
  }
}

// Commands about control that make no sense, by who has it.
const HIDDEN = {
  free: ["release_control", "hand_over", "request_control", "force_control"],
  mine: ["take_control", "request_control", "force_control"],
  taken: ["take_control", "release_control", "hand_over"],
};

// The user in control, and the commands about it.
export class Control {
  constructor(live, model, send) {
    Object.assign(this, { live, model, send });
    this.place = $("#control");
  }

  refresh() {
    const { model } = this,
      { holder, user, state } = model;
    setText($("#holder"), holder || "no user");
    setText($("#control-hint"), (holder ? (holder === user ? "yours" : holder) : "free") + (state.locked ? ", locked" : ""));
    const hidden = new Set([...HIDDEN[!holder ? "free" : holder === user ? "mine" : "taken"], state.locked ? "lock" : "unlock"]);
    const rows = model.commandsAt("control").filter((row) => !hidden.has(row.name));
    const shown = JSON.stringify([holder, rows.map((row) => [row.name, model.why(row.name)])]);
    if (this.shown === shown) return;
    this.shown = shown;
    this.place.replaceChildren(...rows.map((row) => this.button(row)));
  }

  button(row) {
    const button = el("button", { class: "btn small", type: "button", "data-command": row.name, onclick: () => this.press(row) }, labelOf(row));
    mark(button, this.model.why(row.name));
    return button;
  }

  async press(row) {
    const { model } = this;
    if (model.why(row.name)) return;
    if (row.name === "hand_over") {
      const names = model.names.filter(({ name }) => name !== model.user),
        named = ({ name, logins }) => el("option", { value: name }, logins ? `${name}, logged in` : name);
      const to = names.length
        ? el("select", { name: "to" }, el("option", { value: "" }, "choose"), ...names.map(named))
        : el("input", { name: "to", autocomplete: "off" });
      const check = () => (/^[\w.-]+$/.test(to.value.trim()) ? "" : "Choose a user.");
      const rows = [["Now", model.holder]];
      if (await confirm(this.live, { title: `Hand ${model.name} over?`, rows, fields: boxed("To", to, ""), button: row.label, check }))
        await this.send(row.name, { to: to.value.trim() }, null);
      return;
    }
    if (row.name === "force_control") {
      const rows = [["Now", model.holder], ["Then", model.user]];
      if (await confirm(this.live, { title: `Take ${model.name} over?`, rows, button: row.label, dangerous: row.dangerous }))
        await this.send(row.name, {}, null);
      return;
    }
    await askAndSend(this.live, model, row, (command, values) => this.send(command, values, null));
  }
}
