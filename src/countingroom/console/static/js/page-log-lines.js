// The page of withheld log lines: which templates wait, what is proposed for their slots, and what was decided.
import { $, $$, data, el, setText } from "./dom.js";
import { moment } from "./format.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { note } from "./shell.js";
import { post } from "./post.js";

const API = "/api/v1/mirror/templates";
const WAIT_S = 5;
const STANDS = { approved: "approved", refused: "refused", to_confirm: "waits for a second person", expired: "expired" };
const DAYS = [["365", "a year"], ["90", "90 days"], ["30", "30 days"], ["7", "7 days"], ["", "no end"]];
const MOST_LETTERS = 300;

const number = (value) => String(Number(value.toPrecision(6)));
const short = (text) => (text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text);

// What a rule of a slot lets out, in words.
function told(rule) {
  if (rule.how === "pseudonym") return `its alias (${rule.kind ?? "host"})`;
  if (rule.how === "one_of") return `one of: ${rule.values.join(", ")}`;
  if (rule.how !== "publish") return "masked";
  return rule.least === undefined || rule.least === null ? "the value" : `the value, from ${number(rule.least)} to ${number(rule.most)}`;
}

// A template with its slots marked.
const written = (template) =>
  short(template)
    .split(/(<<>|<[a-z]+>)/)
    .filter(Boolean)
    .map((part) => (part === "<<>" ? "<" : /^<[a-z]+>$/.test(part) ? el("span", { class: "slot" }, part.slice(1, -1)) : part));

export function page(live) {
  live.watch = { devices: [], points: false, states: true, events: false, partitions: [""] };
  let answered = null,
    current = decodeURIComponent(location.hash.slice(1)),
    seen = "",
    busy = false,
    again = false;
  const masked = new Map(); // id -> numbers of slots that are masked

  async function load() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    const answer = await fetch(API).then(async (one) => ({ ok: one.ok, told: await one.json() })).catch(() => null);
    busy = false;
    const cause = answer ? (answer.ok ? null : answer.told.cause) : { message: "The console did not answer." };
    $("#lines-wrong").hidden = !cause;
    if (cause) setText($("#lines-wrong"), `${cause.message}${cause.suggestion ? `; ${cause.suggestion}` : ""}`);
    else answered = answer.told;
    draw();
    if (again) {
      again = false;
      load();
    }
  }

  function draw() {
    if (!answered) return;
    const { state, waiting, decided, others } = answered;
    if (!waiting.some(({ id }) => id === current)) current = waiting[0]?.id ?? "";
    const parts = [`${state.waiting} ${state.waiting === 1 ? "template waits" : "templates wait"}`, `${state.lines} lines withheld`];
    if (waiting.length < state.waiting) parts.push(`${waiting.length} shown`);
    if (others) parts.push(`${others} lines of further templates`);
    if (state.cause) parts.push(state.cause);
    setText($("#lines-sum"), parts.join(", "));
    const held = document.activeElement?.closest("[data-id]")?.dataset.id;
    $("#lines-waiting").replaceChildren(...waiting.map(row));
    $("#none-waits").hidden = waiting.length > 0;
    $("#decided").replaceChildren(...decided.map(decision));
    $("#none-decided").hidden = decided.length > 0;
    if (held) $(`[data-id="${CSS.escape(held)}"] button`)?.focus();
    side();
  }

  function row(one) {
    return el(
      "tr",
      { "data-id": one.id, class: one.id === current ? "current" : "" },
      el("td", { class: "num" }, String(one.lines)),
      el("td", { class: "num" }, one.logs >= 20 ? "20 or more" : String(one.logs)),
      el("td", {}, el("button", { class: "lnk tpl", type: "button", "aria-current": one.id === current ? "true" : null, onclick: () => select(one.id) }, ...written(one.template))),
      el("td", { class: one.is_forbidden ? "bad" : "mut" }, one.why_not),
    );
  }

  function decision({ id, stands, decision: one }) {
    const mine = one.approval.by === data.me;
    const acts = [];
    if (stands === "to_confirm") acts.push(button("Confirm…", mine ? "You approved it: the second person is another one." : "", () => act("confirm", id, one.approval.template, { needs: false })));
    acts.push(button("Withdraw…", "", () => act("withdraw", id, one.approval.template, {})));
    return el(
      "tr",
      { "data-id": id },
      el("td", { class: "nw" }, STANDS[stands] ?? stands),
      el("td", {}, el("span", { class: "tpl" }, ...written(one.approval.template)), ...(one.approval.slots ?? []).map((rule, at) => el("span", { class: "rule mut" }, `${at + 1}: ${told(rule)}`))),
      el("td", {}, one.approval.by + (one.confirmed_by ? `, ${one.confirmed_by}` : "")),
      el("td", { class: "nw" }, moment(one.approval.changed_ns)),
      el("td", { class: "nw" }, one.expires_ns ? moment(one.expires_ns) : "–"),
      el("td", { class: "said" }, one.reason ?? ""),
      el("td", { class: "nw" }, ...acts),
    );
  }

  function button(text, why, does) {
    return el("button", { class: "btn small", type: "button", "aria-disabled": String(Boolean(why)), "data-why": why, onclick: () => (why ? note(why, { bad: true }) : does()) }, text);
  }

  const selected = () => answered?.waiting.find(({ id }) => id === current);

  function side() {
    const one = selected();
    $("#template").hidden = !one;
    if (!one) return;
    setText($("#template-id"), one.id);
    let slot = 0;
    $("#inside").replaceChildren(
      ...one.example.map(([kind, text]) => {
        if (!kind) return text;
        const { is_risky } = one.slots[slot++];
        return el("span", { class: is_risky ? "slot risky" : "slot", title: `slot ${slot}: ${kind}${is_risky ? ", it may name a person, a computer or a place" : ""}` }, text);
      }),
    );
    setText($("#outside"), one.shown_as);
    const off = masked.get(one.id) ?? new Set();
    const held = document.activeElement?.closest("#slots") ? document.activeElement.name : "";
    $("#slots").replaceChildren(
      ...one.slots.map((rule, at) => {
        const isMasked = rule.proposed.how === undefined || rule.proposed.how === "mask";
        const box = el("input", { type: "checkbox", name: `mask-${at + 1}`, "aria-label": `mask slot ${at + 1}`, checked: isMasked || off.has(at + 1), disabled: isMasked });
        box.addEventListener("change", () => {
          if (box.checked) off.add(at + 1);
          else off.delete(at + 1);
          masked.set(one.id, off);
        });
        return el(
          "tr",
          {},
          el("td", { class: "num" }, String(at + 1)),
          el("td", {}, el("span", { class: rule.is_risky ? "slot risky" : "slot" }, rule.kind), rule.is_risky ? " risky" : ""),
          el("td", {}, told(rule.proposed)),
          el("td", { class: "seen" }, `${rule.distinct >= 200 ? "200 or more" : rule.distinct}: ${short(rule.values.join(", "))}`),
          el("td", {}, box),
        );
      }),
    );
    if (held) $(`#slots [name="${CSS.escape(held)}"]`)?.focus();
    for (const name of ["approve", "mask-all"]) {
      $(`#${name}`).setAttribute("aria-disabled", String(one.is_forbidden));
      $(`#${name}`).dataset.why = one.is_forbidden ? `It cannot be approved: ${one.why_not}.` : "";
    }
  }

  function select(id) {
    current = id;
    history.replaceState(null, "", `#${encodeURIComponent(id)}`);
    draw();
  }

  async function act(command, id, template, { needs = true, days = false, given = {}, rows = [], dangerous = false }) {
    const reason = el("input", { name: "reason", type: "text", maxlength: "500", autocomplete: "off" }),
      until = el("select", { name: "days" }, ...DAYS.map(([value, text]) => el("option", { value }, text)));
    const verb = command[0].toUpperCase() + command.slice(1);
    const yes = await confirm(live, {
      title: `${verb} this template?`,
      rows: [["Template", short(template)], ...rows],
      button: verb,
      dangerous,
      fields: el("div", {}, boxed(needs ? "Reason, required" : "Reason", reason), days ? boxed("For how long", until) : null),
      check: () => (needs && !reason.value.trim() ? "The reason is missing." : ""),
    });
    if (!yes) return;
    const values = { template: id, ...given };
    if (reason.value.trim()) values.reason = reason.value.trim();
    if (days && until.value) values.days = Number(until.value);
    const answer = await post(`${API}/commands/${command}`, { arguments: values, wait_s: WAIT_S });
    const cause = answer.done ? answer.told.outcome?.cause : answer.cause;
    if (cause) note(`Not done. ${cause.message}`, { bad: true, detail: cause.suggestion });
    else note(`${verb}: done`);
    load();
  }

  function approve(all) {
    const one = selected();
    if (!one) return;
    if (one.is_forbidden) return note(`It cannot be approved: ${one.why_not}.`, { bad: true });
    const off = all ? null : [...(masked.get(one.id) ?? [])].sort((a, b) => a - b);
    const leaves = one.slots.map((rule, at) => `${at + 1}: ${all || off.includes(at + 1) ? "masked" : told(rule.proposed)}`);
    const rows = [["Gains", `${one.lines} lines so far`], ["Slots", leaves.join("; ") || "none"], ["Words", "all words of the template leave with each of its lines"]];
    if (one.why_not) rows.push(["Against it", one.why_not]);
    if (answered.state.two_persons) rows.push(["After that", "it waits for a second person"]);
    act("approve", one.id, one.template, { days: true, given: { mark: one.mark, mask: all ? "all" : off.join(",") }, rows });
  }

  $("#approve").addEventListener("click", () => approve(false));
  $("#mask-all").addEventListener("click", () => approve(true));
  $("#refuse").addEventListener("click", () => {
    const one = selected();
    if (one) act("refuse", one.id, one.template, { rows: [["After that", "its lines stay inside, and it is not proposed again"]], dangerous: true });
  });
  $("#lines-waiting").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const ids = $$("#lines-waiting [data-id]").map((one) => one.dataset.id),
      next = ids[ids.indexOf(event.target.closest("[data-id]").dataset.id) + step];
    if (!next) return;
    event.preventDefault();
    select(next);
    $(`#lines-waiting [data-id="${CSS.escape(next)}"] button`).focus();
  });
  live.on("change", ({ states, snapshot }) => {
    const state = states["mirror_templates.queue"];
    if (state && JSON.stringify(state) !== seen) {
      seen = JSON.stringify(state);
      load();
    } else if (snapshot) load();
  });
}
