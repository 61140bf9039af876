// Saved views of trends: points, axes and range under a name, kept by the server for every user of the experiment. A
// console without a database keeps them in the browser; so do earlier versions, whose views are still listed.
import { $, data, el, setText } from "./dom.js";
import { boxed } from "./buttons.js";
import { confirm } from "./confirm.js";
import { moment } from "./format.js";
import { post } from "./post.js";
import { note } from "./shell.js";

const KEY = "trend-views";
const user = document.querySelector("meta[name=user]")?.content ?? "";
const path = (name, command) => `/api/v1/views/${encodeURIComponent(name)}/${command}`;

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
}

function keep(views) {
  try {
    localStorage.setItem(KEY, JSON.stringify(views));
  } catch {
    note("This browser keeps no views: its storage is denied. Keep the link instead.", { bad: true });
  }
}

export class SavedViews {
  constructor(live) {
    this.live = live;
    this.shared = data.views; // null: there is no database
    this.opened = data.view;
    this.query = "";
    this.first = null; // what the opened view is drawn as
    $("#save-view").addEventListener("click", () => this.save());
    $("#copy-link").addEventListener("click", copyLink);
    if (data.views_failed) note("The saved views cannot be read now.", { bad: true, detail: data.views_failed });
  }

  // What is drawn now has this query. Returns the query for the address, which is short for a saved view.
  now(query) {
    this.query = query;
    this.first ??= query;
    this.draw();
    const view = this.view;
    return view ? `view=${encodeURIComponent(view.name)}` : query;
  }

  // The shared view that is drawn now.
  get view() {
    if (this.opened && this.query === this.first) return this.opened;
    return this.shared?.find((one) => one.query === this.query);
  }

  mine(view) {
    return view.owner === user || data.administers;
  }

  draw() {
    const present = this.view,
      local = kept();
    const shared = (this.shared ?? []).map((view) =>
      this.row(view.name, `?view=${encodeURIComponent(view.name)}`, {
        current: view.name === present?.name,
        owner: view.owner,
        title: `Changed by ${view.changed_by}, ${moment(view.changed_ns)} UTC`,
        remove: this.mine(view) && !data.views_denied ? () => this.remove(view) : null,
      }),
    );
    const here = local.map(({ name, query }, index) =>
      this.row(name, query, {
        current: query === `?${this.query}`,
        owner: "this browser",
        title: "Only this browser shows it. Open and save it to share it",
        remove: () => {
          keep(local.filter((_, other) => other !== index));
          this.draw();
        },
      }),
    );
    $("#views").replaceChildren(...shared, ...here);
    $("#no-views").hidden = shared.length + here.length > 0;
  }

  row(name, href, { current, owner, title, remove }) {
    const link = el("a", { href, title: `${name}. ${title}`, "aria-current": current ? "true" : null }, el("span", { class: "ell" }, name), el("small", {}, owner));
    return el("li", {}, link, remove ? el("button", { type: "button", "aria-label": `Delete ${name}`, onclick: remove }, "×") : null);
  }

  async save() {
    if (!this.shared) return this.saveHere();
    if (data.views_denied) return note(data.views_denied.message, { bad: true, detail: data.views_denied.suggestion });
    const mine = this.opened && this.mine(this.opened) ? this.opened.name : "";
    const name = el("input", { name: "name", autocomplete: "off", maxlength: "60", value: mine });
    const there = el("p", { class: "hint" });
    const taken = () => this.shared.find((one) => one.name === name.value.trim());
    const check = () => {
      const called = name.value.trim(),
        other = taken();
      setText(there, other && this.mine(other) ? `Overwrites revision ${other.revision} by ${other.changed_by}, ${moment(other.changed_ns)} UTC.` : "");
      if (!called) return "Give it a name.";
      if (/[/\\]/.test(called)) return "A name has no / and no \\.";
      return other && !this.mine(other) ? `${other.name} belongs to ${other.owner}: choose another name.` : "";
    };
    const rows = [
      ["Keeps", "points, axes and range"],
      ["For", "every user of this experiment, who can open it but not overwrite or delete it"],
    ];
    const fields = el("div", {}, boxed("Name", name, ""), there);
    if (!(await confirm(this.live, { title: "Save this view", rows, fields, button: "Save", check, safe: true }))) return;
    const called = name.value.trim();
    const answer = await post(path(called, "save_view"), { query: this.query, expected: taken()?.revision ?? null });
    if (!answer.done) return note(`${called} was not saved. ${answer.cause.message}`, { bad: true, detail: answer.cause.suggestion });
    this.shared = [...this.shared.filter((one) => one.name !== called), answer.told].sort((one, other) => one.name.localeCompare(other.name));
    this.opened = answer.told;
    this.first = this.query;
    history.replaceState(null, "", `?${this.now(this.query)}`);
    note(`${called} is saved. Its link opens it for every user.`);
  }

  async saveHere() {
    const name = el("input", { name: "name", autocomplete: "off", maxlength: "60" });
    const rows = [["Keeps", "points, axes and range, in this browser"]];
    const check = () => (name.value.trim() ? "" : "Give it a name.");
    if (!(await confirm(this.live, { title: "Save this view", rows, fields: boxed("Name", name, ""), button: "Save", check, safe: true }))) return;
    const called = name.value.trim();
    keep([...kept().filter((one) => one.name !== called), { name: called, query: `?${this.query}` }]);
    this.draw();
  }

  async remove(view) {
    const rows = [
      ["Owner", view.owner],
      ["Does", "deletes it for every user; its link opens nothing any more"],
    ];
    if (!(await confirm(this.live, { title: `Delete the view ${view.name}?`, rows, button: `Delete ${view.name}`, dangerous: true, safe: true }))) return;
    const answer = await post(path(view.name, "delete_view"));
    if (!answer.done) return note(`${view.name} was not deleted. ${answer.cause.message}`, { bad: true, detail: answer.cause.suggestion });
    this.shared = this.shared.filter((one) => one.name !== view.name);
    if (this.opened?.name === view.name) this.opened = null;
    history.replaceState(null, "", `?${this.now(this.query)}`);
  }
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    note("The link of this view is copied.");
  } catch {
    note("Copy the address of this page:", { detail: location.href, seconds: 60 });
  }
}
