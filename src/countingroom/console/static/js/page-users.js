// The page of accounts, read from the server again after every change.
import { $, el } from "./dom.js";
import { form } from "./form.js";
import { post } from "./post.js";
import { note } from "./shell.js";

const ROLES = ["viewer", "shifter", "expert", "administrator"];

export function page() {
  if (!$("#add")) return; // there is no login here
  form(
    "#add",
    "/api/v1/users",
    (data) => ({ name: data.get("name"), full_name: data.get("full_name"), roles: { [data.get("target")]: data.get("role") } }),
    (told, node) => {
      node.reset();
      showLink(told);
      load();
    },
  );
  form(
    "#grant",
    () => `/api/v1/users/${encodeURIComponent($("#grant [name=name]").value)}/grant`,
    (data) => ({ target: data.get("target"), role: data.get("role") || null }),
    () => load(),
  );
  for (const select of document.querySelectorAll("select[name=role]"))
    select.prepend(...ROLES.map((role) => el("option", {}, role)));
  load();
}

async function load() {
  const answer = await fetch("/api/v1/users");
  const told = await answer.json();
  if (!answer.ok) {
    note(told.cause.message, { bad: true, detail: told.cause.suggestion });
    return;
  }
  $("#rows").replaceChildren(...told.users.map(row));
  $("#grant [name=name]").replaceChildren(...told.users.map(({ user }) => el("option", {}, user.name)));
}

function row({ user, roles, logins }) {
  const state = user.disabled ? "disabled" : user.has_password ? "may log in" : "no password yet";
  return el(
    "tr",
    {},
    el("td", {}, el("b", {}, user.name)),
    el("td", {}, user.full_name),
    el("td", {}, Object.entries(roles).map(([target, role]) => (target === "*" ? `${role} everywhere` : `${role} of ${target}`)).join(", ") || "viewer"),
    el("td", {}, state),
    el("td", { class: "num" }, String(logins)),
    el(
      "td",
      {},
      el(
        "div",
        { class: "deeds" },
        act("New link", user, "link", {}),
        act("Log out", user, "log_out", {}),
        act(user.disabled ? "Let in" : "Disable", user, "disable", { disabled: !user.disabled }),
      ),
    ),
  );
}

function act(label, user, action, body) {
  const click = async () => {
    const answer = await post(`/api/v1/users/${encodeURIComponent(user.name)}/${action}`, body);
    if (!answer.done) note(answer.cause.message, { bad: true, detail: answer.cause.suggestion });
    else if (answer.told.link) showLink(answer.told);
    load();
  };
  return el("button", { class: "btn small", type: "button", onclick: click, "aria-label": `${label}: ${user.name}` }, label);
}

function showLink({ name, link }) {
  const box = $("#made");
  box.hidden = false;
  box.replaceChildren(
    el("b", {}, `For ${name}, once, within a day: `),
    el("code", {}, `${location.origin}${link}`),
  );
}
