"""Ends jobs that Slurm shows as running although their program is gone.

A host that was off for a few seconds registers again before its controller has missed it. The controller may then keep
the jobs of that host as running for many minutes. The host itself knows better: its slurmd is asked for each batch step
(`sstat`), and where it twice has none, a step on the host looks at the processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

import msgspec

from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.fleet.specs import InstanceId
from countingroom.fleet.engines import slurm_jobs as forms
from countingroom.fleet.engines.slurm_commands import SlurmCommands
from countingroom.fleet.engines.slurm_jobs import Job
from countingroom.fleet.engines.slurm_records import JobRecords

AGAIN_S = 1.0
"""Between the two questions: a step may end, and its job with it, between the answers of controller and host."""
YOUNG_S = 60.0
"""A job that was never seen with a step may still wait for the prolog of its host, for so long."""
_ASK_S = 15.0
_LEFT_SCRIPT = r"""for place in $(grep -a -l -z -x -s "SLURM_JOB_ID=$1" /proc/[0-9]*/environ); do
    grep -a -q -z -s '^SLURM_STEP_ID=' "$place" && continue # of this step, or of another one
    pid=${place#/proc/} pid=${pid%/environ} above=$pid
    while [ "$above" -gt 1 ]; do
        read -r name <"/proc/$above/comm" || { [ -e "/proc/$pid" ] && exit 1; continue 2; } # it has ended by itself
        [ "$name" != slurmstepd ] || { echo lives; exit; }
        above=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$above/status")
    done
    kill -KILL "$pid"
done 2>/dev/null
echo gone
"""
"""Tells `lives` where a slurmstepd holds a process of job $1. What a killed slurmstepd has left is ended: Slurm does
not end it any more, and it must not run beside the next job."""


class GoneJobs:
    """Ends those of one cluster, so that they are started again."""

    def __init__(self, clock: Clock, slurm: SlurmCommands, records: JobRecords, every_s: float) -> None:
        """`every_s`: between two questions about a job; one that was not seen with its step yet is asked for at each
        look, as it could not be told from one that waits for the prolog of its host."""
        self._every_s = every_s
        self._asked_s = float("-inf")
        self._clock = clock
        self._slurm = slurm
        self._records = records
        self._since: dict[int, float] = {}
        """Number of a running job -> when it was first seen, by the monotonic clock; -inf: its step was seen."""
        self._task: asyncio.Task[None] | None = None

    def begin(self, jobs: Sequence[Job], working: Collection[InstanceId]) -> None:
        """Look beside all else, as a host that does not answer takes its time. `working`: instances that an action
        works on, at every moment. Nothing is begun while a look is under way."""
        if self._task and not self._task.done():
            return
        if self._task:
            self._task.result()
        running = [one for one in jobs if one.state == "RUNNING"]
        now_s = self._clock.monotonic()
        self._since = {job.number: self._since.get(job.number, now_s) for job in running}
        if now_s - self._asked_s >= self._every_s:
            self._asked_s = now_s
        else:
            running = [one for one in running if self._since[one.number] > float("-inf")]
        self._task = asyncio.create_task(self._end_all(running, working))

    async def close(self) -> None:
        """End a look that is under way."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _end_all(self, jobs: Sequence[Job], working: Collection[InstanceId]) -> None:
        with suppress(CountingRoomError):  # a controller that does not answer is told by the next look at the jobs
            for job in await self._find([one for one in jobs if one.id not in working]):
                made = await self._records.read(job.id)
                if made is None or made.token != job.mark.token or job.id in working:
                    continue
                self._slurm.check_lease()
                ended = forms.gone(job, self._clock.now_ns(), await self._why(job))
                await self._records.write(msgspec.structs.replace(made, ended=ended))
                await self._slurm.cancel([job.name])

    async def _find(self, jobs: Sequence[Job]) -> list[Job]:
        """Of these jobs, which the controller shows as running, those whose program is gone for certain. A host that
        does not answer tells nothing about its jobs."""
        on: dict[str, list[Job]] = {}
        for job in jobs:
            on.setdefault(job.host, []).append(job)
        found = await asyncio.gather(*(self._of_host(group) for host, group in on.items() if host))
        return [job for group in found for job in group]

    async def _of_host(self, jobs: Sequence[Job]) -> list[Job]:
        try:
            suspected = await self._without_step(jobs)
            if suspected:
                await self._clock.sleep(AGAIN_S)
                suspected = await self._without_step(suspected)
            return [job for job in suspected if await self._is_gone(job)]
        except LinkError:
            return []

    async def _without_step(self, jobs: Sequence[Job]) -> list[Job]:
        there, gone = await self._slurm.batch_steps([job.number for job in jobs])
        for number in there:
            self._since[number] = float("-inf")
        begun_s = self._clock.monotonic() - YOUNG_S
        return [job for job in jobs if job.number in gone and self._since.get(job.number, begun_s) <= begun_s]

    async def _is_gone(self, job: Job) -> bool:
        words = ("/bin/sh", "-c", _LEFT_SCRIPT, "sh", str(job.number))
        status, said = await self._slurm.run_beside(job.number, words, "/", {}, _ASK_S)
        return status == 0 and said.strip() == "gone"

    async def _why(self, job: Job) -> str:
        """The cause, as far as the controller knows it."""
        booted_ns, served_ns = await self._slurm.host_starts(job.host)
        if booted_ns > job.started_ns:
            return f"its host {job.host} was started again; Slurm still showed it as running"
        if served_ns > job.started_ns:
            return f"it is gone since slurmd of its host {job.host} was started again; Slurm still showed it as running"
        return f"its program on {job.host} is gone; Slurm still showed it as running"
