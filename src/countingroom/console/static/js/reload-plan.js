// The plan of a reload in a dialog, its start, its progress and its end. What is sent is the fingerprint of the plan that
// was shown: where the files have changed since, `up` refuses, and the plan can be looked at again.
import { $, el, setText } from "./dom.js";
import { tellDescription } from "./commands.js";
import { RELOAD, causes, changed, changes, shown } from "./reload-words.js";
import { meanwhile } from "./confirm.js";
import { note } from "./shell.js";
import { ask } from "./snapshot-words.js";

const DEADLINE_S = 60;
const LONGEST_MS = 300_000;
// The console itself may start again: then the event of the end is not heard, and that all processes have it is the end.
const UNHEARD_MS = 5000;
const UNKNOWN = { code: "unknown", message: "the end of the reload is not known", suggestion: "look at which processes have which version" };

// `now()`: the description in force, as the feed tells it; `told(answer)`: is given each plan. Resolves when closed.
export function planReload(live, { now, told }) {
  const dialog = $("#plan"),
    way = el("div", { "aria-live": "polite" }),
    wrong = el("p", { class: "wrong", role: "alert" }),
    again = el("button", { class: "btn", type: "button" }, "Look again"),
    go = el("button", { class: "btn primary", type: "button" }, "Reload"),
    close = el("button", { class: "btn", type: "button" }, "Close");
  const running = meanwhile(live).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]);
  dialog.replaceChildren(
    el("h2", { id: "plan-title" }, "Reload of the description"),
    el("div", { class: "bd" }, running.length ? el("dl", { class: "dl" }, ...running) : null, way, wrong, el("div", { class: "acts" }, close, again, go)),
  );
  let answer = null,
    looking = false,
    follows = null, // the progress of the reload that was sent
    ended = false,
    closed = false;

  const why = () => {
    if (looking) return "The plan is not known yet.";
    if (!live.trusted) return "The link is lost: nothing can be sent.";
    if (!answer) return "There is no plan.";
    // Why is told above the buttons, with what can be done.
    return answer.differs && !answer.mistakes.length && !answer.refusals.length ? "" : " ";
  };
  const judge = () => {
    go.hidden = Boolean(follows) || ended;
    again.hidden = Boolean(follows);
    if (follows) return follows();
    const reason = why();
    go.disabled = Boolean(reason);
    again.disabled = looking;
    if (!ended) setText(wrong, answer || !looking ? reason.trim() : "");
  };

  async function look() {
    looking = true;
    ended = false;
    answer = null;
    setText(wrong, "");
    way.replaceChildren(el("p", { class: "mut" }, "Reading and checking the files on disk…"));
    judge();
    answer = await ask(`${RELOAD}/plan`, (message, suggestion) => way.replaceChildren(el("p", { class: "wrong" }, suggestion ? `${message}; ${suggestion}` : message)));
    looking = false;
    if (answer) {
      way.replaceChildren(...shown(answer));
      go.textContent = answer.differs ? `Reload ${changes(answer.plan.changes.length)}` : "Reload";
      told(answer);
    }
    judge();
  }

  async function reload() {
    const { plan } = answer,
      { digest } = plan,
      bar = el("progress", { "aria-label": "Processes that have it" }),
      at = el("p", { role: "status" }, "Asked; the files are checked again…");
    way.replaceChildren(el("div", { class: "under-way" }, at, bar));
    close.focus();
    let conclude;
    const concluded = new Promise((resolve) => (conclude = resolve)),
      sentAt = performance.now();
    let wholeAt = null;
    follows = () => {
      const state = now();
      if (performance.now() - sentAt > LONGEST_MS) conclude({ kind: "failed", cause: UNKNOWN });
      if (state?.digest !== digest) return;
      const versions = Object.values(state.processes);
      bar.max = versions.length || 1;
      bar.value = versions.filter((version) => version === state.version).length;
      wholeAt = live.trusted && bar.value === bar.max ? (wholeAt ?? performance.now()) : null;
      if (wholeAt && performance.now() - wholeAt > UNHEARD_MS) conclude({ kind: "done", data: { version: state.version } });
      setText(at, `Version ${state.version} is in force; ${bar.value} of ${versions.length} processes have it.`);
    };
    judge();
    const sent = await tellDescription(live, "reload", { values: { digest }, deadlineS: DEADLINE_S });
    const end = sent.accepted ? await Promise.race([sent.outcome, concluded]) : { kind: "failed", cause: sent.cause };
    follows = null;
    ended = true;
    if (end.kind === "done") done(end.data ?? {}, plan);
    else refused(end.cause ?? { message: end.message });
    judge();
    if (!closed) close.focus();
    else if (end.kind === "done") note(`Version ${end.data?.version ?? now()?.version} of the description is in force`);
    else note(`Not reloaded. ${end.cause?.message ?? end.message}`, { bad: true, detail: end.cause?.suggestion ?? "" });
  }

  function done({ version, restarted, troubles }, plan) {
    setText(wrong, troubles ? `Not as planned: ${troubles}` : "");
    way.replaceChildren(
      el("p", { id: "applied" }, el("b", {}, `Version ${version ?? now()?.version} of the description is in force.`)),
      ...(restarted ? [el("p", { class: "total" }, `Started again: ${restarted}.${restarted.split(", ").includes("console") ? " This console does so now; the page connects by itself." : ""}`)] : []),
      ...changed(plan),
      el("p", { class: "total" }, "It is among the ", el("a", { href: "/events" }, "events"), " too."),
    );
  }

  function refused({ code, message, suggestion, causes: inner = [] }) {
    setText(wrong, code === "unknown" ? "It is not known whether it was reloaded." : "Not reloaded: the present description stays in force.");
    const next = code === "changed_since" ? "look at the plan again" : suggestion;
    way.replaceChildren(el("h3", {}, "Refused"), causes(inner.length ? inner.map((one) => ({ ...one, message: one.source?.includes(":") ? `${one.source}: ${one.message}` : one.message })) : [{ message, suggestion: next }]));
  }

  return new Promise((resolve) => {
    const timer = setInterval(judge, 300);
    dialog.onkeydown = null;
    dialog.oninput = null;
    close.onclick = () => dialog.close();
    again.onclick = look;
    go.onclick = () => !why() && reload();
    dialog.onclose = () => {
      closed = true;
      clearInterval(timer);
      resolve();
    };
    dialog.showModal();
    close.focus();
    look();
  });
}
