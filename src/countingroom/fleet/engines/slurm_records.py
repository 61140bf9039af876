"""The files of a node with Slurm: from what each instance was made, how it ended, and its output.

The folder may be of a file server that does not answer: each access has a deadline and its own thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import LinkError
from countingroom.core.fleet.specs import InstanceId, ServiceSpec
from countingroom.fleet.engines import slurm_jobs as forms
from countingroom.fleet.engines.log_files import last_lines, read_record, write_record
from countingroom.fleet.engines.port import EngineInstance, LogLine, MakeOrder
from countingroom.fleet.engines.process_log import read_process_log
from countingroom.fleet.engines.slurm_jobs import Job, JobEnd
from countingroom.fleet.engines.slurm_log_times import LogTimes

_FILES_S = 10.0
LOG_BYTES = 4 << 20
T = TypeVar("T")


class MadeJob(Struct, frozen=True, kw_only=True):
    """The content of `made.json`."""

    id: InstanceId
    digest: str
    revision: int
    change: str
    spec: ServiceSpec
    token: str
    job: str
    crashes: int = 0
    """Ends in a row before this job."""
    ended: JobEnd | None = None

    @property
    def order(self) -> MakeOrder:
        """From which it was made, without secrets."""
        return MakeOrder(id=self.id, spec=self.spec, digest=self.digest, revision=self.revision, change=self.change)


class JobRecords:
    """The folder of one node."""

    def __init__(self, folder: Path, clock: Clock, source: str) -> None:
        self._folder = folder
        self._clock = clock
        self._source = source
        self._times = LogTimes()

    async def prepare(self, id: InstanceId | None = None) -> None:
        """Make the folder, or that of an instance."""
        place = self._place(id) if id else self._folder
        await self._files(lambda: place.mkdir(parents=True, exist_ok=True, mode=0o700))

    async def all(self) -> list[MadeJob]:
        """Those that are remembered."""
        return await self._files(self._all)

    async def read(self, id: InstanceId) -> MadeJob | None:
        """From what an instance was made."""
        return await self._files(lambda: read_record(self._place(id) / "made.json", MadeJob))

    async def write(self, made: MadeJob) -> None:
        """Remember it."""
        await self.prepare(made.id)
        await self._files(lambda: write_record(self._place(made.id) / "made.json", made))

    async def forget(self, id: InstanceId) -> None:
        """Its output is kept."""
        await self._files(lambda: (self._place(id) / "made.json").unlink(missing_ok=True))

    async def lines(self, id: InstanceId, most: int) -> list[str]:
        """The last lines of its output."""
        return await self._files(lambda: last_lines(self._place(id), most))

    async def log(self, id: InstanceId, *, tail: int, since_ns: int, follow: bool) -> AsyncGenerator[LogLine]:
        """The last lines of its output; with `follow` the next ones too."""
        place = self._place(id)
        await self._files(lambda: self._times.mark(place))
        lines = read_process_log(self._clock, place, tail=tail, since_ns=since_ns, follow=follow, are_times_late=True)
        async with aclosing(lines):
            async for line in lines:
                yield line

    async def mark_logs(self) -> None:
        """Note when what is new in the output of all instances was written."""
        await self._files(lambda: [self._times.mark(log.parent) for log in self._folder.glob("*/log")])

    async def cut_logs(self) -> None:
        """Keep the output of each instance below twice LOG_BYTES."""
        await self._files(self._cut_logs)

    def output(self, service: str, index: str) -> str:
        """The file of the output as sbatch takes it. `index`: `%a` in an array."""
        return f"{str(self._folder).replace('%', '%%')}/{service}.{index}/log"

    def _place(self, id: InstanceId) -> Path:
        return self._folder / f"{id.service}.{id.index}"

    def _all(self) -> list[MadeJob]:
        found = (read_record(file, MadeJob) for file in sorted(self._folder.glob("*/made.json")))
        return [one for one in found if one]

    def _cut_logs(self) -> None:
        for log in self._folder.glob("*/log"):
            self._times.cut(log.parent, LOG_BYTES)

    async def _files(self, work: Callable[[], T]) -> T:
        try:
            async with timeout(_FILES_S):
                return await asyncio.to_thread(work)
        except (TimeoutError, OSError) as error:
            said = "no answer" if isinstance(error, TimeoutError) else error.strerror
            raise LinkError(
                f"the folder {self._folder} cannot be used: {said}",
                source=self._source,
                code="no_folder",
                suggestion="see whether its file server answers, and who may write there",
            ) from None


def live_instance(job: Job, made: MadeJob) -> EngineInstance:
    """An instance whose job runs or waits, or has ended and holds its host still."""
    since_ns = job.started_ns if job.is_running else job.submitted_ns
    return EngineInstance(
        id=job.id,
        digest=made.digest,
        revision=job.mark.revision,
        change=job.mark.change,
        is_running=job.is_running,
        since_ns=since_ns,
        waits=not job.is_running,
        host=job.host if job.is_running else "",
        crashes=job.mark.crashes,
        reason=forms.waits_for(job),
        spec=made.spec,
        engine_id=job.name,
    )


def ended_instance(made: MadeJob) -> EngineInstance:
    """An instance whose job has ended."""
    ended = made.ended or JobEnd()
    return EngineInstance(
        id=made.id,
        digest=made.digest,
        revision=made.revision,
        change=made.change,
        is_running=False,
        since_ns=ended.since_ns,
        exit_status=ended.status,
        crashes=ended.crashes,
        reason=ended.reason,
        spec=made.spec,
        engine_id=made.job,
    )
