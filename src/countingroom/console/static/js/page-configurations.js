// The page of configurations. Saving makes a new revision from the revision that was seen; tags, deletions and imports
// are confirmed first.
import { $, $$, data, el } from "./dom.js";
import { boxed, tellOutcome } from "./buttons.js";
import { tellExperiment } from "./commands.js";
import { confirm } from "./confirm.js";
import { SchemaForm } from "./schema-form.js";

export function page(live) {
  live.watch = { devices: [], points: [], states: false, events: true, partitions: ["_experiment"] };
  const act = async (command, values, where, refused = () => {}) => {
    if (data.denied[command]) return tellOutcome(command, { accepted: false, cause: data.denied[command] });
    const answer = await tellExperiment(live, command, { values });
    if (answer.accepted) answer.outcome.then((event) => (event.kind === "done" ? location.assign(where ?? location.href) : refused(event.cause)));
    else refused(answer.cause);
    return tellOutcome(command.replaceAll("_", " "), answer);
  };
  edit(live, act);
  tags(live, act);
  $("#apply")?.addEventListener("click", () => apply(live, act));
  for (const choice of $$("[data-take]")) choice.addEventListener("change", () => ($("#apply-wrong").textContent = ""));
  $("#import").addEventListener("click", async () => {
    const text = el("textarea", { name: "document", rows: "14", spellcheck: "false" });
    const sure = await confirm(live, {
      title: "Import configurations and tags",
      rows: [["Does", "what differs becomes a new revision; nothing is taken away"]],
      fields: boxed("YAML, as it is exported", text, ""),
      button: "Import",
      check: () => (text.value.trim() ? "" : "Paste the document."),
    });
    if (sure) await act("import", { document: text.value });
  });
}

// The plan that the page shows, with the decisions of its conflicts; null, with the reason on the page, where that is
// not possible.
async function decided(choices) {
  const wrong = $("#apply-wrong"),
    open = choices.filter((one) => !one.value);
  wrong.textContent = open.length ? `Choose for ${open.map((one) => one.dataset.take).join(", ")} first.` : "";
  if (open.length) {
    open[0].focus();
    return null;
  }
  const take = choices.map((one) => `${one.dataset.take}=${one.value}`).join(",");
  const plans = await Promise.all(["", take].map(async (taken) => (await fetch(`/api/v1/apply/plan?${new URLSearchParams({ take: taken })}`)).json()));
  const cause = plans.find((one) => one.cause)?.cause;
  if (cause) wrong.textContent = cause.message;
  else if (plans[0].plan.digest !== data.plan.digest) wrong.textContent = "Description or database have changed since this page was opened: reload it.";
  if (wrong.textContent) return null;
  return { take, digest: plans[1].plan.digest, counts: plans[1].counts };
}

async function apply(live, act) {
  const choices = $$("[data-take]"),
    plan = choices.length ? await decided(choices) : { digest: data.plan.digest, counts: {} };
  if (!plan) return;
  const { counts, ...values } = plan;
  const done = choices.length ? Object.entries(counts).map(([action, number]) => `${number} to ${action}`).join(", ") : `what the table shows, ${data.plan.to_do} in all`;
  const rows = [["Does", `${done}, or nothing`], ["Systems", "take it when they are configured the next time"]];
  if (await confirm(live, { title: "Apply the description?", rows, button: "Apply" })) await act("apply", values, "/configurations");
}

function edit(live, act) {
  const form = $("#edit"),
    wrong = $("#edit-wrong"),
    { configuration, system } = data,
    fields = new SchemaForm($("#fields"), form.elements.parameters, data.schema);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { tag, comment, parameters } = form.elements;
    let given;
    try {
      given = JSON.parse(parameters.value);
    } catch (error) {
      wrong.textContent = `Not JSON: ${error.message}`;
      return;
    }
    const name = tag.value.trim(),
      misfit = fields.wrong(given);
    wrong.textContent = misfit || (/^[\w-]+$/.test(name) ? "" : "The tag is a name: letters, digits, _ and -.");
    if (wrong.textContent || !system) return;
    const same = configuration?.tag === name;
    const sure = await confirm(live, {
      title: `Save ${name} of ${system}?`,
      rows: [["From", same ? `revision ${configuration.revision}` : "new"], ["Change", difference(same ? configuration.parameters : {}, given)]],
      button: `Save ${name}`,
    });
    if (!sure) return;
    const values = { system, tag: name, parameters: JSON.stringify(given), comment: comment.value.trim() };
    if (same) values.expected = configuration.revision;
    await act("save_configuration", values, `/configurations?system=${encodeURIComponent(system)}&tag=${encodeURIComponent(name)}`, (cause) => fields.refused(cause));
  });
  $("#delete-configuration")?.addEventListener("click", async () => {
    const rows = [["Does", "takes it away; its revisions stay in the record"]];
    if (await confirm(live, { title: `Delete ${configuration.tag} of ${system}?`, rows, button: "Delete", dangerous: true }))
      await act("delete_configuration", { system, tag: configuration.tag }, `/configurations?system=${encodeURIComponent(system)}`);
  });
}

function difference(before, after) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const told = names
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => `${name}: ${name in before ? JSON.stringify(before[name]) : "–"} → ${name in after ? JSON.stringify(after[name]) : "–"}`);
  return told.join(", ") || "none";
}

function tags(live, act) {
  for (const button of $$("[data-tag]")) button.addEventListener("click", () => one(live, act, button.dataset.tag));
  $("#new-tag").addEventListener("click", () => one(live, act, ""));
  for (const button of $$("[data-delete-tag]"))
    button.addEventListener("click", async () => {
      const name = button.dataset.deleteTag;
      const rows = [["Does", "takes the tag away; configurations stay"]];
      if (await confirm(live, { title: `Delete the tag ${name}?`, rows, button: "Delete", dangerous: true }))
        await act("delete_tag", { name });
    });
}

async function one(live, act, name) {
  const now = data.tags[name] ?? {};
  const called = el("input", { name: "name", value: name, autocomplete: "off" });
  const choices = Object.entries(data.choices).map(([system, tagged]) => {
    const option = (tag, text = tag) => el("option", { value: tag, selected: now[system] === tag }, text);
    return [system, el("select", { name: system }, option("", "not part of it"), ...tagged.map((tag) => option(tag)))];
  });
  const chosen = () => Object.fromEntries(choices.map(([system, select]) => [system, select.value]).filter(([, tag]) => tag));
  const sure = await confirm(live, {
    title: name ? `Change the tag ${name}` : "New tag",
    rows: [["Covers", "exactly the systems that have a configuration here"]],
    fields: el("div", {}, boxed("Name", called, ""), ...choices.map(([system, select]) => boxed(system, select, ""))),
    button: "Save",
    check: () => (!/^[\w-]+$/.test(called.value.trim()) ? "Give it a name." : Object.keys(chosen()).length ? "" : "Choose at least one."),
  });
  if (sure) await act("save_tag", { name: called.value.trim(), systems: JSON.stringify(chosen()) });
}
