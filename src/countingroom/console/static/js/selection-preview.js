// What a dialog says before a selection or a move: which systems the next Configure touches, what falls, which tags fit.
import { el } from "./dom.js";
import { words } from "./format.js";
import { seconds, some } from "./run-parts.js";

const line = (text, kind = "kept") => el("p", { class: kind }, text);

// The answer for the newest question only: an earlier one that comes late is dropped.
async function ask(place, address) {
  const asked = (place.asked = Symbol(address));
  place.replaceChildren(line("Asking run control…", "mut"));
  let told;
  try {
    told = await (await fetch(address)).json();
  } catch (error) {
    told = { cause: { message: `the console did not answer: ${error.message}` } };
  }
  if (place.asked !== asked) return null;
  if (told.cause) place.replaceChildren(line(`It is not known what changes: ${told.cause.message}`, "wrong"));
  return told.cause ? null : told;
}

// The systems that Configure would touch with this tag, by reason.
export async function showSelection(place, model, tag) {
  if (!tag) {
    place.asked = null;
    return place.replaceChildren();
  }
  const query = new URLSearchParams({ goal: model.top, tag });
  const told = await ask(place, `/api/v1/partitions/${encodeURIComponent(model.name)}/plan?${query}`);
  if (!told) return;
  const { stages, kept, expected_s, obstacle } = told.plan;
  const reasons = new Map();
  for (const { system, action, reason } of stages.flatMap((stage) => stage.steps)) {
    const key = `${action}: ${reason}`;
    reasons.set(key, [...(reasons.get(key) ?? []), system]);
  }
  const touched = new Set(stages.flatMap((stage) => stage.steps.map((step) => step.system)));
  const time = expected_s === null ? "" : `, about ${seconds(expected_s)}`;
  place.replaceChildren(
    line(touched.size ? `Configure will touch ${touched.size} of ${model.state.members.length} systems${time}:` : "Configure will touch nothing: every system has it."),
    ...(touched.size ? [el("ul", {}, ...[...reasons].map(([why, names]) => el("li", {}, el("b", {}, some(names)), ` ${why}`)))] : []),
    ...(Object.keys(kept).length && touched.size ? [line(`Stays as it is: ${some(Object.keys(kept))}.`)] : []),
    ...(obstacle ? [line(`It will not reach ${words(model.top)}: ${obstacle.message}`, "wrong obstacle")] : []),
  );
}

// Another configuration of one system: it and the levels above it, in the order of the members.
export function showSingle(place, model, system) {
  place.asked = null;
  const { members } = model.state;
  const { level: at, in_place: inPlace } = members.find((one) => one.system === system) ?? {};
  if (inPlace) return place.replaceChildren(line(`Configure or Reconfigure will give it to ${system} in place, and touch no other system.`));
  const levels = [...new Set(members.map((one) => one.level))];
  const above = members.filter((one) => one.included && levels.indexOf(one.level) > levels.indexOf(at)).map((one) => one.system);
  place.replaceChildren(line(`Configure will touch ${system}${above.length ? ` and what is above it: ${some(above)}` : ""}.`));
}

// What a move changes in each partition.
export async function showMove(place, detectors, to) {
  const told = await ask(place, `/api/v1/experiment/move?${new URLSearchParams({ detectors: detectors.join(","), to })}`);
  if (!told) return;
  place.replaceChildren(
    ...told.effects.map((one) =>
      el(
        "div",
        {},
        el("h3", {}, one.partition),
        line(one.after === one.before ? `It stays in ${words(one.before)}.` : `It falls from ${words(one.before)} to ${words(one.after)}.`, one.after === one.before ? "kept" : "falls"),
        ...(one.joins.length ? [line(`Joins, aborted: ${some(one.joins)}.`)] : []),
        ...(one.leaves.length ? [line(`Leaves: ${some(one.leaves)}.`)] : []),
        ...(one.configures.length ? [line(`Configured again at the next Configure: ${some(one.configures)}.`)] : []),
        line(
          one.fits
            ? `The selected tag ${one.tag} fits.`
            : `${one.tag ? `The selected tag ${one.tag} does not fit` : "No tag is selected"}; ${one.tags.length ? `these do: ${some(one.tags)}` : "no tag does: save one, or select configurations one by one"}.`,
          one.fits ? "kept" : "falls",
        ),
      ),
    ),
    ...(told.effects.length ? [] : [line("Nothing changes: they are there already.")]),
    ...(told.obstacle ? [line(`Without force it will be refused: ${told.obstacle.message}.`, "wrong obstacle")] : []),
  );
}
