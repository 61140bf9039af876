// Sends commands through the public API, with the time of the decision and the state that was seen. The outcome is an
// event of the live feed.
import { post } from "./post.js";

const waiting = new Map();

export const send = (live, device, command, asked) =>
  order(live, `/api/v1/devices/${encodeURIComponent(device)}`, command, asked);

export const tellPartition = (live, partition, command, asked = {}) =>
  order(live, `/api/v1/partitions/${encodeURIComponent(partition)}`, command, asked);

export const tellExperiment = (live, command, asked = {}) => order(live, "/api/v1/experiment", command, asked);

export const tellProgram = (live, program, command, asked = {}) =>
  order(live, `/api/v1/results/programs/${encodeURIComponent(program)}`, command, asked);

export const tellDescription = (live, command, asked = {}) => order(live, "/api/v1/description", command, asked);

export const tellFleet = (live, command, asked = {}) => order(live, "/api/v1/fleet", command, asked);

export const tellUpstream = (live, upstream, command, asked = {}) =>
  order(live, `/api/v1/mirror/upstreams/${encodeURIComponent(upstream)}`, command, asked);

async function order(live, target, command, { channel = "", values = {}, seenState = null, deadlineS = 10 }) {
  const id = crypto.randomUUID();
  const body = { id, channel, arguments: values, deadline_s: deadlineS };
  // Without a link the page knows neither the server's time nor the state. What it still sends leads to a safe state, and
  // must not be refused because of them.
  if (live.trusted) body.issued_ns = Math.round(live.nowNs());
  if (live.trusted && seenState) body.seen_state = seenState;
  const outcome = new Promise((done) => waiting.set(id, done));
  const answer = await post(`${target}/commands/${encodeURIComponent(command)}`, body);
  if (answer.done) {
    setTimeout(() => waiting.delete(id), 3600_000);
    return { accepted: true, id, outcome, direct: answer.told?.direct };
  }
  waiting.delete(id);
  return { accepted: false, cause: answer.cause };
}

export function follow(live) {
  live.on("event", (event) => {
    if ((event.kind === "done" || event.kind === "failed") && waiting.has(event.command_id)) {
      waiting.get(event.command_id)(event);
      waiting.delete(event.command_id);
    }
  });
}
