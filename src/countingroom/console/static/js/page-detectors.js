// The page of detectors. Detectors are moved together or not at all, after a confirmation with their names and the
// target; failures are listed. The list is kept current.
import { mark, refusal } from "./acts.js";
import { $, $$, data, el, setText } from "./dom.js";
import { boxed } from "./buttons.js";
import { tellExperiment } from "./commands.js";
import { confirm } from "./confirm.js";
import { discOf, setDisc, some } from "./run-parts.js";
import { showMove } from "./selection-preview.js";
import { note } from "./shell.js";

export function page(live) {
  live.watch = { devices: [], points: [], states: false, events: true, partitions: ["*"] };
  const form = $("#move"),
    boxes = $$("#detectors input[type=checkbox]"),
    chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const why = () => (chosen().length || !live.trusted ? refusal(live, "move") : "Choose detectors in the list first.");
  const count = () => {
    const names = chosen();
    setText($("#chosen"), names.length ? `${names.length} chosen: ${some(names)}` : "None chosen");
    mark($("button[type=submit]", form), why());
  };
  live.on("link", count);
  follow(live);
  for (const box of boxes) box.addEventListener("change", count);
  $("#every").addEventListener("change", (event) => {
    for (const box of boxes) box.checked = event.target.checked;
    count();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const detectors = chosen(),
      { to, force } = form.elements;
    if (why()) return;
    const changes = el("div", { class: "preview", "aria-live": "polite" });
    showMove(changes, detectors, to.value);
    const sure = await confirm(live, {
      title: detectors.length === 1 ? `Move ${detectors[0]}?` : `Move ${detectors.length} detectors?`,
      rows: [
        ["Who", some(detectors)],
        ["To", to.value || "no partition"],
        ["Does", "all of them move, or none; each begins there unconfigured"],
        ...(force.checked ? [["Forced", "also where the partition records or an agent does not answer"]] : []),
      ],
      fields: changes,
      button: `Move to ${to.value || "no partition"}`,
      dangerous: force.checked,
    });
    if (sure) await act(live, "move", { detectors: detectors.join(","), to: to.value, force: force.checked });
  });
  $("#new-partition").addEventListener("click", async () => {
    const name = el("input", { name: "name", autocomplete: "off" }),
      template = el("input", { name: "template", value: "cbm", autocomplete: "off" });
    const sure = await confirm(live, {
      title: "New partition",
      rows: [["Does", "an empty partition; move detectors into it"]],
      fields: el("div", {}, boxed("Name", name, ""), boxed("Template", template, "")),
      button: "Create",
      check: () => (/^[\w-]+$/.test(name.value.trim()) ? "" : "Give it a name: letters, digits, _ and -."),
    });
    if (sure) await act(live, "create_partition", { name: name.value.trim(), template: template.value.trim() });
  });
}

// Keep the own state of each detector current; where a detector was moved, offer to load the page again.
function follow(live) {
  const rows = new Map($$("#detectors tr[data-detector]").map((tr) => [tr.dataset.detector, tr]));
  let told = false;
  live.on("change", () => {
    const where = new Map();
    for (const [key, one] of live.states)
      if (key.startsWith("partition.")) for (const { system } of one.members) where.set(system, one.partition);
    for (const [name, tr] of rows) {
      const report = live.states.get(`system.${name}`),
        place = $(".st", tr);
      if (report && place) setDisc(place, discOf(report.common), report.state);
      if (told || (where.get(name) ?? "") === tr.dataset.partition) continue;
      told = true;
      note("Detectors were moved.", { action: ["Load again", () => location.reload()] });
    }
  });
}

async function act(live, command, values) {
  const failed = $("#failed");
  failed.hidden = true;
  const answer = data.denied[command] ? { accepted: false, cause: data.denied[command] } : await tellExperiment(live, command, { values });
  const event = answer.accepted ? await answer.outcome : { kind: "refused", cause: answer.cause };
  if (event.kind === "done") return location.reload();
  const { message, suggestion, causes = [] } = event.cause ?? event;
  failed.hidden = false;
  failed.replaceChildren(
    el("div", {}, el("p", {}, message + (suggestion ? ` → ${suggestion}` : "")), ...causes.map((one) => el("p", {}, `${one.source ? one.source + ": " : ""}${one.message}`))),
  );
}
