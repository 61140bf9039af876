"""What the jobs of one node with Slurm and their hosts use, asked by /bin/sh in a step beside a job of each host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from countingroom.core.clock import Clock
from countingroom.core.fleet.node_answers import JOBS_SCRIPT, NodeAnswer, all_hosts, node_answer
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.fleet.usage import InstanceUse
from countingroom.fleet.engines.port import EngineInstance, EngineUse
from countingroom.fleet.engines.slurm_commands import SlurmCommands
from countingroom.fleet.engines.slurm_jobs import Job

MOST_HOSTS = 8
"""A step is work for the controller of the cluster: those with the first names are asked, and no other."""
_ASK_S = 15.0


async def cluster_use(
    slurm: SlurmCommands, clock: Clock, jobs: Sequence[Job], there: Mapping[InstanceId, EngineInstance]
) -> EngineUse:
    """One measurement. What a host does not answer is not known."""
    on: dict[str, list[Job]] = {}
    for job in jobs:
        if job.is_running and job.host:
            on.setdefault(job.host, []).append(job)
    hosts = sorted(on)[:MOST_HOSTS]
    answers = await asyncio.gather(*(_ask(slurm, clock, on[host][0].number) for host in hosts))
    found = {id: InstanceUse(ends=one.crashes) for id, one in there.items()}
    offsets: list[float] = []
    for host, (answer, offset_s) in zip(hosts, answers, strict=True):
        if offset_s is not None:
            offsets.append(offset_s)
        for job in on[host]:
            found[job.id] = answer.of_job(job.number, job.mark.crashes)
    return EngineUse(
        instances=found,
        host=all_hosts([answer.host for answer, _ in answers]),
        clock_offset_s=max(offsets, key=abs, default=None),
    )


async def _ask(slurm: SlurmCommands, clock: Clock, number: int) -> tuple[NodeAnswer, float | None]:
    """What a host tells, and its clock minus ours, s."""
    asked_s = clock.now_ns() / 1e9
    status, said = await slurm.run_beside(number, ("/bin/sh", "-c", JOBS_SCRIPT), "/", {}, _ASK_S)
    answered_s = clock.now_ns() / 1e9
    answer = node_answer(said if status == 0 else "")
    return answer, answer.clock_offset_s(asked_s, answered_s)
