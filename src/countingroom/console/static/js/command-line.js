// A command and its end as one line, in words: "Hv on: done, took 6.2 s".
import { duration, words } from "./format.js";

const ENDS = new Set(["done", "failed", "refused"]);

export const isCommand = ({ kind, command_id: id }) => kind === "command" && Boolean(id);
export const isEnd = ({ kind, command_id: id }) => ENDS.has(kind) && Boolean(id);

// What was ordered: the action in words, with what it was given.
function ordered({ action, channel, message }) {
  const rest = message.startsWith(action) ? message.slice(action.length).trim() : message,
    given = channel && (rest === channel || rest.startsWith(`${channel} `)) ? rest.slice(channel.length).trim() : rest;
  const text = `${words(action)} ${given}`.trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const reloaded = ({ version, changes, restarted, took_s: took }) =>
  `Description reloaded: version ${version} is in force, took ${duration(took)}. ${changes}${restarted ? `. Started again: ${restarted}` : ""}`;

// end: the event of its end, or null while it goes on.
export function sentence(command, end) {
  if (!end) return `${ordered(command)} …`;
  if (end.action === "reload" && end.data?.version) return reloaded(end.data);
  const usual = end.message === `${command.message} done`,
    why = end.cause ? end.cause.message : usual ? "" : end.message;
  const told = end.kind === "done" && !end.cause ? (usual ? "done" : end.message) : `${end.kind}${why ? `, ${why}` : ""}`;
  return `${ordered(command)}: ${told}, took ${duration((end.time_ns - command.time_ns) / 1e9)}`;
}
