// The page Control room: an action at an upstream is chosen, what would be sent is shown, then it is sent and its answer
// shown. An answer is set as text, never as HTML.
import { $, breakable, data, el, setText } from "./dom.js";
import { mark } from "./acts.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { tellUpstream } from "./commands.js";
import { moment, words } from "./format.js";
import { post } from "./post.js";
import { note } from "./shell.js";
import { ask } from "./snapshot-words.js";

const KEY = "upstreams.all";
const base = (upstream) => `/api/v1/mirror/upstreams/${encodeURIComponent(upstream)}`;
const title = (name) => words(name.replace(/^get_/, "")).replace(/^./, (letter) => letter.toUpperCase());
const kib = (bytes) => (bytes < 1024 ? `${bytes} B` : `${Math.round(bytes / 1024)} KiB`);
const option = (value, label = value, chosen = false) => el("option", { value, selected: chosen }, label);

export function page(live) {
  // The events of an action have the name of its upstream, in the place of that of a device.
  live.watch = { devices: data.upstreams.map(({ name }) => name), points: [], states: true, events: true, partitions: [""] };
  const actions = new Map(data.actions.map((one) => [one.name, one]));
  let upstreams = data.upstreams;
  const upstream = el("select", { name: "upstream" }),
    action = el("select", { name: "action" });
  $("#chosen").append(boxed("Upstream", upstream), boxed("Action", action));
  const now = () => upstreams.find(({ name }) => name === upstream.value);
  const why = () => {
    if (!live.trusted) return "The link is lost: nothing can be sent.";
    const cause = data.denied_actions[upstream.value]?.[action.value];
    return cause ? `${cause.message}; ${cause.suggestion}` : "";
  };

  const judge = () => {
    mark($("#show-plan"), why());
    setText($("#permission"), data.denied_actions[upstream.value]?.[action.value]?.message ?? "");
  };
  function chooseUpstream() {
    const chosen = action.value,
      permitted = (now()?.actions ?? []).map((name) => actions.get(name)).filter(Boolean);
    const group = (label, isChange) => {
      const options = permitted.filter(({ is_change }) => is_change === isChange).map(({ name }) => option(name, title(name), name === chosen));
      return options.length ? [el("optgroup", { label }, ...options)] : [];
    };
    action.replaceChildren(...group("Only reads", false), ...group("Changes something", true));
    setText($("#rate"), now() ? `at most ${now().per_minute} a minute` : "");
    chooseAction();
  }
  function chooseAction() {
    const one = actions.get(action.value);
    setText($("#about"), one ? one.description : "");
    $("#arguments").replaceChildren(...(one?.arguments ?? []).map((each) => boxed(`${each.label}${each.optional ? " (optional)" : ""}`, field(each, now()))));
    $("#arguments").hidden = !one?.arguments.length;
    judge();
  }
  function draw() {
    const names = upstreams.map(({ name }) => name);
    $("#act").hidden = !names.length;
    $("#no-upstreams").hidden = names.length > 0;
    if (names.join() !== [...upstream.options].map(({ value }) => value).join()) {
      const chosen = upstream.value;
      upstream.replaceChildren(...upstreams.map(({ name, set }) => option(name, `${name} (${set})`, name === chosen)));
      chooseUpstream();
    }
    const sent = upstreams.flatMap((one) => one.last.map((each) => [one.name, each])).sort(([, a], [, b]) => b.time_ns - a.time_ns);
    const held = document.activeElement?.dataset?.answer;
    $("#sent").replaceChildren(...sent.map(([name, each]) => row(name, each)));
    if (held) $(`#sent [data-answer="${CSS.escape(held)}"]`)?.focus();
    $("#none-sent").hidden = sent.length > 0;
    judge();
  }

  upstream.addEventListener("change", chooseUpstream);
  action.addEventListener("change", chooseAction);
  $("#act").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (why()) return note(why(), { bad: true });
    const given = Object.fromEntries([...new FormData($("#act"))].filter(([name, value]) => !["upstream", "action"].includes(name) && value.trim() !== "").map(([name, value]) => [name, value.trim()]));
    await send(live, upstream.value, actions.get(action.value), given);
  });
  live.on("link", judge);
  live.on("change", ({ states }) => {
    if (!(KEY in states)) return;
    upstreams = states[KEY]?.upstreams ?? [];
    draw();
  });
  draw();
}

function field({ name, choices, type, low, high, optional }, upstream) {
  const given = name === "host" ? (upstream?.hosts ?? []) : choices.length ? choices : type === "int" && high - low === 1 ? [high, low] : null;
  if (!given) return el("input", { name, maxlength: "200", inputmode: type === "int" ? "numeric" : null, placeholder: type === "int" ? `from ${low}` : null });
  return el("select", { name }, ...(optional ? [option("", "not said")] : []), ...given.map((one) => option(String(one))));
}

async function send(live, upstream, action, given) {
  const answer = await post(`${base(upstream)}/plan/${encodeURIComponent(action.name)}`, { arguments: given });
  if (!answer.done) return note(`${title(action.name)}: refused. ${answer.cause.message}`, { bad: true, detail: answer.cause.suggestion });
  const plan = answer.told;
  const isLate = () => (live.nowNs() > plan.until_ns ? "This plan is too old: close it, and ask again." : "");
  const sure = await confirm(live, {
    title: `${title(action.name)} at ${upstream}?`,
    rows: [
      ["Sends", el("code", {}, `${plan.method} `, ...breakable(plan.address))],
      ["Secret", plan.secret ? `${plan.secret}, not shown` : "none"],
      ["Does", action.description],
      ["Then left", `${Math.max(0, plan.left - 1)} actions in this minute`],
    ],
    button: action.is_change ? title(action.name) : "Send",
    dangerous: action.is_change,
    check: isLate,
  });
  if (!sure) return;
  const sent = await tellUpstream(live, upstream, action.name, { values: { ...given, plan: plan.mark } });
  const what = `${title(action.name)} at ${upstream}`;
  if (!sent.accepted) return note(`${what}: refused. ${sent.cause.message}`, { bad: true, detail: sent.cause.suggestion });
  const event = await sent.outcome;
  if (event.kind === "done") note(`${what}: answered`);
  else note(`${what}: ${event.cause?.message ?? event.message}`, { bad: true, detail: event.cause?.suggestion });
  await show(upstream, sent.id);
}

function row(upstream, one) {
  const end = !one.is_over ? "under way" : one.cause ? (one.cause.code === "no_answer" ? "not known" : "failed") : `answered, ${kib(one.bytes)}`;
  const look = el("button", { class: "btn small", type: "button", "data-answer": one.id, "aria-label": `Answer to ${title(one.action)} of ${moment(one.time_ns)}`, onclick: () => show(upstream, one.id) }, "Answer");
  return el(
    "tr",
    {},
    el("td", { class: "nw" }, moment(one.time_ns)),
    el("td", {}, upstream),
    el("td", {}, title(one.action)),
    el("td", { class: "mut" }, ...breakable(Object.values(one.arguments).join(", "))),
    el("td", { class: "mut" }, one.by),
    el("td", { class: "num nw" }, one.is_over ? `${one.took_s.toFixed(1)} s` : ""),
    el("td", { title: one.cause?.message ?? null, class: one.cause ? "cr-bad" : null }, end),
    el("td", {}, one.is_over ? look : null),
  );
}

async function show(upstream, id) {
  const found = await ask(`${base(upstream)}/answers/${encodeURIComponent(id)}`, (why, detail) => note(why, { bad: true, detail }));
  if (!found) return;
  const { sent, text } = found;
  $("#answer-card").hidden = false;
  setText($("#answer-title"), `${title(sent.action)}${sent.arguments.host ? ` of ${sent.arguments.host}` : ""}: answer of ${upstream}`);
  const told = [sent.cause?.message, sent.is_cut ? `The answer is longer: its first ${kib(sent.bytes)} are shown.` : ""].filter(Boolean).join(" ");
  $("#answer-told").hidden = !told;
  setText($("#answer-told"), told);
  setText($("#answer"), text || "(no text)");
  $("#answer-title").focus();
}
