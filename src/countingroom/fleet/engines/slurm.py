"""The engine of a cluster with Slurm: each instance is a batch job, copies made together are one array of jobs.

Jobs are found by the mark in their comment, so that they outlive the keeper. A replacement is submitted first, to begin
after the present job has ended: whatever ends the keeper in between, one of both runs. Slurm starts nothing again by
itself (`--no-requeue`): what ends is started again by the keeper, as a new job. Each instance has a folder with its
output, and `made.json`, which remembers how it ended after the controller has forgotten it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path

import msgspec

from countingroom.core.clock import Clock
from countingroom.core.errors import DeviceError, NotFound
from countingroom.core.fleet.specs import InstanceId, WantedNode
from countingroom.fleet.engines import slurm_jobs as forms
from countingroom.fleet.engines.lease_guard import MayAct
from countingroom.fleet.engines.port import EngineFacts, EngineInstance, EngineUse, LogLine, MakeOrder, Progress
from countingroom.fleet.engines.slurm_commands import SlurmCommands
from countingroom.fleet.engines.slurm_gathering import OrderGathering
from countingroom.fleet.engines.slurm_gone import GoneJobs
from countingroom.fleet.engines.slurm_jobs import Job, JobEnd
from countingroom.fleet.engines.slurm_records import JobRecords, MadeJob, ended_instance, live_instance
from countingroom.fleet.engines.slurm_submission import Submission
from countingroom.fleet.engines.slurm_use import cluster_use
from countingroom.fleet.secrets import read_secrets

LOOK_S = 2.0
"""Slurm tells nothing by itself: it is asked so often."""
_CUT_S = 20.0
"""The logs of all instances are looked at so often, so that they stay within their bound."""
_LOOKS_OF_GONE = 5
"""At every so many looks the hosts are asked whether they still have the programs of their jobs."""
_ASK_S = 0.2
"""While an action waits."""
_START_S = 15.0
"""So long it is waited for a job to begin; after it, it is one that waits."""
_STEADY_S = 0.8
"""A program that could not be started has ended by then."""
_END_S = 60.0
"""For the end of a job after SIGKILL."""


class SlurmEngine:
    """The jobs of one node of the fleet, which stands for a cluster."""

    def __init__(
        self, clock: Clock, experiment: str, node: WantedNode, folder: Path, directory: Path, look_s: float = LOOK_S
    ) -> None:
        """`folder`: for logs, seen by the hosts of the cluster. `directory`: of the description, for relative paths."""
        self._clock = clock
        self._experiment = experiment
        shared = (directory / node.slurm.folder if node.slurm.folder else folder).absolute()
        self._directory = directory.absolute()
        self._name = node.name
        self._look_s = look_s
        self._source = f"fleet.{node.name}"
        self._records = JobRecords(shared, clock, self._source)
        self._slurm = SlurmCommands(str(directory / node.slurm.conf) if node.slurm.conf else "", self._source)
        self._gone = GoneJobs(clock, self._slurm, self._records, _LOOKS_OF_GONE * look_s)
        self._submission = Submission(self._slurm, self._records, experiment, node.name, directory)
        self._secrets: dict[InstanceId, Mapping[str, str]] = {}
        self._seen: dict[InstanceId, EngineInstance] = {}
        self._working: dict[InstanceId, int] = {}
        self._asking = asyncio.Lock()
        self._known: tuple[float, list[Job]] = (float("-inf"), [])
        """When the jobs were last asked for, by the monotonic clock, and what was said."""
        self._by_submission: dict[tuple[str, InstanceId], Job] = {}
        """The same by token and instance: each of a thousand copies looks for its job."""
        self._gathering = OrderGathering(clock, self._make)

    @property
    def may_act(self) -> MayAct:
        """Asked before each change of a job or of what is remembered of it."""
        return self._slurm.may_act

    @may_act.setter
    def may_act(self, may_act: MayAct) -> None:
        self._slurm.may_act = may_act

    async def connect(self) -> EngineFacts:
        await self._records.prepare()
        version = await self._slurm.version()
        await self._jobs()
        return EngineFacts(engine=f"Slurm {version}")

    async def instances(self) -> Sequence[EngineInstance]:
        jobs = await self._jobs()
        made = {one.id: one for one in await self._records.all()}
        by_id: dict[InstanceId, list[Job]] = {}
        for job in jobs:
            by_id.setdefault(job.id, []).append(job)
        found: list[EngineInstance] = []
        for id in sorted({*made, *by_id}):
            if one := await self._instance(by_id.get(id, []), made.get(id), id in self._working):
                found.append(one)
        self._seen = {one.id: one for one in found}
        return found

    async def images(self) -> frozenset[str]:
        return frozenset()

    async def pull(self, image: str, progress: Progress) -> None:
        raise DeviceError(
            f"{image} cannot be pulled: this node runs batch jobs, not images",
            source=self._source,
            suggestion="give the service a command without an image, or place it on a node with a container engine",
            code="no_images",
        )

    async def make(self, order: MakeOrder) -> None:
        with self._works_on(order.id):
            with self._gathering.coming(order):
                present = [job for job in await self._jobs() if job.id == order.id and job.is_live]
            if any((job.mark.change, job.mark.revision) == (order.change, order.revision) for job in present):
                return  # the answer to its submission was lost
            if present:
                await self._end(present, 0.0)
            await self._begun(await self._gathering.submitted(order))

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        with self._works_on(order.id):
            before, secrets = await self._records.read(order.id), self._secrets.get(order.id)
            present = [job for job in await self._jobs() if job.id == order.id and (job.is_live or job.is_ending)]
            (made,) = await self._submit([order], after=present)
            await self._end(present, grace_s)
            await self._records.write(made)
            try:
                await self._begun(made)
            except DeviceError:
                if before:
                    self._secrets.pop(order.id, None)
                    if secrets is not None:
                        self._secrets[order.id] = secrets
                    with suppress(DeviceError):
                        await self._begun(await self._again(before, before.crashes))
                raise

    async def start(self, id: InstanceId) -> None:
        with self._works_on(id):
            made = await self._records.read(id)
            if made is None:
                raise NotFound(f"there is no instance {id}", source=self._source)
            await self._again(made, None)

    async def remove(self, id: InstanceId, grace_s: float) -> None:
        with self._works_on(id):
            await self._end([job for job in await self._jobs() if job.id == id], grace_s)
            self._slurm.check_lease()
            self._secrets.pop(id, None)
            await self._records.forget(id)

    async def logs(
        self, id: InstanceId, *, tail: int, since_ns: int = 0, follow: bool = False
    ) -> AsyncGenerator[LogLine]:
        async with aclosing(self._records.log(id, tail=tail, since_ns=since_ns, follow=follow)) as lines:
            async for line in lines:
                yield line

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        made = await self._records.read(id)
        running = [job for job in await self._jobs(1.0) if job.id == id and job.is_running]
        if made is None:
            raise NotFound(f"there is no instance {id}", source=self._source)
        if not running:
            raise DeviceError(f"{id} does not run now", source=self._source, code="not_running")
        environment = {**made.spec.environment, **await self._secrets_of(made)}
        where = str(self._directory / made.spec.directory)
        return await self._slurm.run_beside(running[0].number, command, where, environment, timeout_s)

    async def use(self) -> EngineUse:
        return await cluster_use(self._slurm, self._clock, await self._jobs(1.0), self._seen)

    async def changes(self) -> AsyncGenerator[None]:
        last: list[Job] | None = None
        cut_s = float("-inf")
        try:
            while True:
                jobs = await self._jobs(self._look_s / 2)
                if last is not None and jobs != last:
                    yield
                last, now_s = jobs, self._clock.monotonic()
                await self._records.mark_logs()
                if now_s - cut_s >= _CUT_S:
                    await self._records.cut_logs()
                    cut_s = now_s
                self._gone.begin(jobs, self._working)
                await self._clock.sleep(self._look_s)
        finally:
            await self._gone.close()

    async def close(self) -> None:
        """Nothing is open. Submissions under way are ended; what they have submitted is found by its mark."""
        self._gathering.close()

    # Jobs.

    async def _jobs(self, age_s: float = 0.0) -> list[Job]:
        """What the controller says, or has said within `age_s`. A question that comes while one is under way gets the
        next answer."""
        wanted_s = self._clock.monotonic() - age_s
        async with self._asking:
            if self._known[0] < wanted_s:
                asked_s = self._clock.monotonic()
                output = await self._slurm.jobs()
                self._known = asked_s, forms.read_jobs(output, self._experiment, self._name)
                self._by_submission = {(job.mark.token, job.id): job for job in self._known[1]}
            return self._known[1]

    async def _instance(self, jobs: list[Job], made: MadeJob | None, is_worked_on: bool) -> EngineInstance | None:
        live = [job for job in jobs if job.is_live]
        if not live and made:
            live = [job for job in jobs if job.is_ending and job.mark.token == made.token]
        if live:
            job = forms.preferred(live)
            if len(live) > 1 and not is_worked_on:
                # A replacement that the keeper before this one did not finish, or a submission whose answer was lost.
                await self._slurm.cancel([one.name for one in live if one is not job])
            if made is None or (made.token != job.mark.token and not is_worked_on):
                made = await self._recovered(job)
            return live_instance(job, made) if made else None
        if made is None:
            return None
        if made.ended is None:
            job = next((job for job in jobs if job.mark.token == made.token), None)
            made = msgspec.structs.replace(made, ended=await self._outcome(made, job))
            if not is_worked_on:
                await self._records.write(made)
        return ended_instance(made)

    async def _outcome(self, made: MadeJob, job: Job | None) -> JobEnd:
        found = (
            forms.outcome(job) if job else forms.accounted(await self._slurm.accounted(made.job), made.crashes)
        ) or JobEnd(
            since_ns=self._clock.now_ns(),
            crashes=made.crashes + 1,
            reason=f"Slurm does not know its job {made.job} any more",
        )
        if not found.reason:
            lines = await self._records.lines(made.id, 1)
            found = msgspec.structs.replace(found, reason=lines[0] if lines else "")
        return found

    async def _recovered(self, job: Job) -> MadeJob | None:
        """From what a job was made, by its script."""
        order = forms.orders_of(await self._slurm.script(job.number)).get(job.id.index)
        if order is None:
            return None
        made = MadeJob(
            id=job.id,
            digest=order.digest,
            revision=job.mark.revision,
            change=job.mark.change,
            spec=order.spec,
            token=job.mark.token,
            job=job.name,
            crashes=job.mark.crashes,
        )
        await self._records.write(made)
        return made

    async def _again(self, made: MadeJob, crashes: int | None) -> MadeJob:
        """Submit it once more, unless it runs or waits already. `crashes`: before it; None: as its last job ended."""
        jobs = [job for job in await self._jobs() if job.id == made.id]
        if any(job.is_live for job in jobs):
            return made
        self._secrets[made.id] = await self._secrets_of(made)
        order = msgspec.structs.replace(made.order, secrets=self._secrets[made.id])
        if crashes is None:
            last = next((job for job in jobs if job.mark.token == made.token), None)
            crashes = (made.ended or await self._outcome(made, last)).crashes
        (new,) = await self._submit([order], after=[job for job in jobs if job.is_ending], crashes=crashes)
        await self._records.write(new)
        return new

    async def _secrets_of(self, made: MadeJob) -> Mapping[str, str]:
        if made.id not in self._secrets:  # it was made by a keeper before this one
            self._secrets[made.id] = await read_secrets(made.id, made.spec.secrets)
        return self._secrets[made.id]

    async def _make(self, orders: Sequence[MakeOrder]) -> list[MadeJob]:
        """Submit them as one job or one array, and remember them."""
        ids = {order.id for order in orders}
        ending = [job for job in await self._jobs(1.0) if job.id in ids and job.is_ending]
        made = await self._submit(orders, after=ending)
        for one in made:
            await self._records.write(one)
        return made

    async def _submit(
        self, orders: Sequence[MakeOrder], *, after: Sequence[Job] = (), crashes: int = 0
    ) -> list[MadeJob]:
        for order in orders:
            self._secrets[order.id] = order.secrets
        return await self._submission.submit(orders, after=after, crashes=crashes)

    async def _begun(self, made: MadeJob) -> None:
        """Wait until a job runs, or waits for something. DeviceError where its program could not be started: nothing is
        left of it then."""
        begin = self._clock.monotonic()
        running: float | None = None
        while self._clock.monotonic() < begin + _START_S:
            now = self._clock.monotonic()
            await self._jobs(_ASK_S / 2)
            job = self._by_submission.get((made.token, made.id))
            if job and job.is_running:
                running = running or now
                if now - running >= _STEADY_S:
                    return
            elif job and job.is_waiting:
                if job.reason not in ("", "Dependency") and now > begin + 1.0:
                    return
            elif job:
                await self._check_started(made, job)
                return
            await self._clock.sleep(_ASK_S)

    async def _check_started(self, made: MadeJob, job: Job) -> None:
        ended = forms.outcome(job)
        if ended.status not in forms.NOT_STARTED:
            return
        lines = await self._records.lines(made.id, 1)
        await self._records.forget(made.id)
        said = ended.reason or (lines[0] if lines else f"{made.spec.command[0]} was not found")
        raise DeviceError(
            f"{made.id} could not be started on {job.host}: {said}", source=self._source, code="not_started"
        )

    async def _end(self, jobs: Sequence[Job], grace_s: float) -> None:
        """End jobs: SIGTERM, after the time of grace SIGKILL. DeviceError where one runs on."""
        waiting = [job.name for job in jobs if job.is_waiting]
        left = [job.name for job in jobs if job.is_running]
        if waiting:
            await self._slurm.cancel(waiting)
        if left and grace_s > 0:
            await self._slurm.cancel(left, "TERM")
            left = await self._left(left, grace_s)
        if left:
            await self._slurm.cancel(left, "KILL")
        if (waiting or left) and (left := await self._left([*waiting, *left], _END_S)):
            raise DeviceError(
                f"job {', '.join(left)} runs on after SIGKILL",
                source=self._source,
                code="not_ended",
                suggestion="see its host: scontrol show job",
            )

    async def _left(self, names: Sequence[str], seconds: float) -> list[str]:
        """Those of these jobs that run or wait still after a time; it ends as soon as there are none."""
        until = self._clock.monotonic() + seconds
        while True:
            left = [job.name for job in await self._jobs() if job.name in names and job.is_live]
            if not left or self._clock.monotonic() >= until:
                return left
            await self._clock.sleep(min(_ASK_S, max(until - self._clock.monotonic(), 0.0)))

    @contextmanager
    def _works_on(self, id: InstanceId) -> Generator[None]:
        """What is seen of it meanwhile is not put right."""
        self._working[id] = self._working.get(id, 0) + 1
        try:
            yield
        finally:
            self._working[id] -= 1
            if not self._working[id]:
                del self._working[id]
