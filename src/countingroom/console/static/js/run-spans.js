// The runs of the shown range, for bands behind a trend. Only where there is a run book.
import { $ } from "./dom.js";

const MOST = 100;

// [{from, to, name}] in seconds; to is null while it runs.
export async function runsIn(fromS, toS) {
  if (!$(".nav a[href='/runs']")) return [];
  const asked = new URLSearchParams({ to: String(Math.round(toS * 1e9)), limit: String(MOST) });
  const answer = await fetch(`/api/v1/runs?${asked}`).catch(() => null);
  if (!answer?.ok) return [];
  return (await answer.json()).runs
    .filter((run) => run.started_ns && (run.ended_ns ?? Infinity) / 1e9 >= fromS)
    .map((run) => ({
      from: run.started_ns / 1e9,
      to: run.ended_ns && run.ended_ns / 1e9,
      name: `${run.partition} run ${run.number}`,
    }));
}
