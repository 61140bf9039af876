// The page of notes for the public: what is written is shown as it will be seen outside, and only that is published.
import { $, $$, data, el, setText } from "./dom.js";
import { moment } from "./format.js";
import { confirm } from "./confirm.js";
import { note as tell } from "./shell.js";
import { post } from "./post.js";

const API = "/api/v1/mirror/notes";
const WAIT_S = 5;
const PAUSE_MS = 400;
const MASK = /(\[(?:url|address|quoted|path|mac|ip|uuid|hex|host|name|other)\])/;
const HEADS = { add: "New note", edit: "Correct note", update: "Update of note", end: "End note" };

const written = (ns) => (ns ? new Date(ns / 1e6).toISOString().slice(0, 16) : "");
const marked = (text) => (text ?? "").split(MASK).map((part) => (MASK.test(part) ? el("span", { class: "mask" }, part) : part));
const time = (text) => el("time", { datetime: text }, `${text.slice(0, 16).replace("T", " ")} UTC`);

// A note as it is seen outside.
function outside(one) {
  const times = [["from", one.from], ["planned to", one.to], ["ended", one.ended]].filter(([, at]) => at);
  return [
    el("h3", {}, ...marked(one.title)),
    el("p", { class: "mut" }, [one.sort, one.state].filter(Boolean).join(", "), ...times.flatMap(([word, at]) => [`, ${word} `, time(at)])),
    ...(one.parts?.length ? [el("p", { class: "mut" }, `Affects ${one.parts.join(", ")}`)] : []),
    ...(one.text ? [el("p", {}, ...marked(one.text))] : []),
    ...(one.author ? [el("p", { class: "mut" }, `By ${one.author}`)] : []),
    ...(one.updates?.length ? [el("ol", {}, ...one.updates.map((each) => el("li", {}, ...(each.time ? [time(each.time)] : []), ...marked(each.text))))] : []),
  ];
}

export function page(live) {
  live.watch = { devices: [], points: false, states: true, events: false, partitions: [""] };
  const form = $("#note-form");
  let answered = null,
    action = "",
    current = null,
    preview = null,
    asked = 0,
    timer = 0,
    seen = "";

  form.elements.sort.replaceChildren(...data.sorts.map((sort) => el("option", { value: sort }, sort)));
  form.elements.title.maxLength = data.most.title;
  form.elements.text.maxLength = data.most.text;

  async function load() {
    const answer = await fetch(API).then(async (one) => ({ ok: one.ok, told: await one.json() })).catch(() => null);
    const cause = answer ? (answer.ok ? null : answer.told.cause) : { message: "The console did not answer." };
    $("#notes-wrong").hidden = !cause;
    if (cause) setText($("#notes-wrong"), `${cause.message}${cause.suggestion ? `; ${cause.suggestion}` : ""}`);
    else answered = answer.told;
    if (answered) draw();
  }

  function draw() {
    const { state, notes, parts } = answered;
    const told = [`${state.open} open`, `${state.ended} ended`];
    if (!state.is_published) told.push("the policy lets no notes leave");
    setText($("#notes-sum"), told.join(", "));
    const held = document.activeElement?.closest("tr[data-note]") ? [document.activeElement.closest("tr").dataset.note, document.activeElement.dataset.does] : null;
    $("#notes").replaceChildren(...notes.map(row));
    if (held) $(`tr[data-note="${held[0]}"] [data-does="${held[1]}"]`)?.focus();
    $("#no-note").hidden = notes.length > 0;
    $("#note-parts").replaceChildren(...parts.map((name) => el("option", { value: name })));
  }

  function row({ note: one, outside: left, why_not }) {
    const acts = one.ended_ns ? ["edit", "withdraw"] : ["update", "end", "edit", "withdraw"];
    return el(
      "tr",
      { "data-note": one.number },
      el("td", { class: "num" }, String(one.number)),
      el("td", {}, one.sort),
      el("td", {}, one.ended_ns ? "ended" : "open"),
      el("td", { class: "title" }, one.title),
      el("td", { class: "nw" }, moment(one.from_ns).slice(0, 16)),
      el("td", { class: "nw" }, one.ended_ns ? moment(one.ended_ns).slice(0, 16) : one.to_ns ? moment(one.to_ns).slice(0, 16) : "–"),
      el("td", {}, one.by),
      el("td", {}, left ? "yes" : why_not),
      el("td", {}, el("div", { class: "acts" }, ...acts.map((does) => button(does, one)))),
    );
  }

  // Why this person cannot write notes now, or "".
  function refusal() {
    if (!live.trusted) return "The link is lost: commands are disabled.";
    return data.denied_notes ? `${data.denied_notes.message}; ${data.denied_notes.suggestion}` : "";
  }

  function button(does, one) {
    const label = `${does[0].toUpperCase()}${does.slice(1)}`;
    return el("button", { class: does === "withdraw" ? "btn small danger" : "btn small", type: "button", "data-does": does, "aria-disabled": String(Boolean(data.denied_notes)), "aria-label": `${label} note ${one.number}`, onclick: () => (does === "withdraw" ? withdraw(one) : open(does, one)) }, `${label}…`);
  }

  function open(does, one) {
    const why = refusal();
    if (why) return tell(why, { bad: true });
    action = does;
    current = one;
    $("#note-writing").hidden = false;
    setText($("#note-head"), one ? `${HEADS[does]} ${one.number}: ${one.title}` : HEADS[does]);
    setText($("#note-text"), does === "update" ? "What is known now" : does === "end" ? "How it ended, may be empty" : "Text");
    for (const part of $$("[data-of]", form)) part.hidden = !part.dataset.of.split(" ").includes(does);
    const writes = does === "add" || does === "edit",
      values = writes && one ? { ...one, parts: (one.parts ?? []).join(", "), from: written(one.from_ns), to: written(one.to_ns) } : {};
    for (const name of ["title", "text", "parts", "from", "to"]) form.elements[name].value = values[name] ?? "";
    setText($("#note-publish"), does === "end" ? "End and publish" : "Publish");
    changed();
    form.elements[writes ? "title" : "text"].focus();
  }

  // The arguments of the command, of what is written.
  function given() {
    const values = current ? { note: current.number } : { sort: form.elements.sort.value };
    const text = form.elements.text.value;
    if (action === "update" || action === "end") return text.trim() || action === "update" ? { ...values, text } : values;
    Object.assign(values, { title: form.elements.title.value, text, parts: form.elements.parts.value });
    for (const name of ["from", "to"]) {
      const at = form.elements[name].value,
        before = current ? written(current[`${name}_ns`]) : "";
      if (at !== before) values[name] = at ? `${at}:00Z` : "-";
    }
    return values;
  }

  const shown = () => preview && !preview.cause && preview.of === JSON.stringify(given());

  function changed() {
    $("#note-publish").disabled = true;
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  }

  async function look() {
    const turn = ++asked,
      values = given();
    const answer = await post(`${API}/${action}/preview`, { arguments: values });
    if (turn !== asked || $("#note-writing").hidden) return;
    preview = answer.done ? { ...answer.told, of: JSON.stringify(values) } : { cause: answer.cause };
    const parts = [];
    if (preview.cause) parts.push(el("p", { class: preview.cause.code === "missing_argument" ? "mut" : "wrong" }, `${preview.cause.message}; ${preview.cause.suggestion}.`));
    else {
      parts.push(...outside(preview.outside));
      if (preview.masked) parts.push(el("p", { class: "mut" }, `${preview.masked === 1 ? "1 piece is" : `${preview.masked} pieces are`} masked, as a name of a person, computer or place could stand there. Write it in other words, or name it under Affects.`));
      if (preview.withheld.length) parts.push(el("p", { class: "mut fs" }, `Stays inside: ${preview.withheld.map((one) => one.split(":")[0]).join(", ")}.`));
    }
    $("#note-seen").replaceChildren(...parts);
    $("#note-publish").disabled = !shown();
  }

  function close() {
    clearTimeout(timer);
    asked += 1;
    preview = null;
    $("#note-writing").hidden = true;
  }

  async function send(command, values, title) {
    const answer = await post(`${API}/commands/${command}`, { arguments: values, wait_s: WAIT_S });
    const cause = answer.done ? answer.told.outcome?.cause : answer.cause;
    if (cause) tell(`Not done. ${cause.message}`, { bad: true, detail: cause.suggestion });
    else tell(`${title}: done`);
    await load();
    return !cause;
  }

  async function withdraw(one) {
    const why = refusal();
    if (why) return tell(why, { bad: true });
    const yes = await confirm(live, { title: `Withdraw note ${one.number}?`, rows: [["Title", one.title], ["After that", "it is removed from the public store, with all its texts"]], button: "Withdraw", dangerous: true });
    if (yes) send("withdraw", { note: one.number }, `Withdraw note ${one.number}`);
  }

  form.addEventListener("input", changed);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!shown()) return;
    $("#note-publish").disabled = true;
    if (await send(action, { ...given(), mark: preview.mark }, HEADS[action])) close();
    else look();
  });
  $("#note-cancel").addEventListener("click", close);
  $("#note-new").setAttribute("aria-disabled", String(Boolean(data.denied_notes)));
  $("#note-new").addEventListener("click", () => open("add", null));
  live.on("change", ({ states, snapshot }) => {
    const state = states["mirror_notes.book"];
    if (state && JSON.stringify(state) !== seen) {
      seen = JSON.stringify(state);
      load();
    } else if (snapshot) load();
  });
}
