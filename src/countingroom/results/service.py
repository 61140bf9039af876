"""The service of results: runs the programs of the description on command, and records how each of them ended.

One process does this at a time (lease `results`). After a kill the next process ends the programs that were left
running, stores their output, and records their results as interrupted.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from uuid import uuid4

from countingroom.bus.command_server import CommandServer
from countingroom.bus.election import Election, Leadership, holder_name
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.results import ResultEnd, ResultFilter, ResultState, StoredResult
from countingroom.core.retry import Retry, edge_log
from countingroom.results import collecting, program
from countingroom.results.description import ResultsSection
from countingroom.results.endings import interrupted
from countingroom.results.program_target import ProgramPlace, ProgramTarget
from countingroom.results.store import FileStore

_log = logging.getLogger(__name__)

LEASE = "results"
DEPARTMENT = "results"
LEASE_S = 5.0
ASK_AGAIN_S = 5.0
RETRY_S = 2.0
_MOST_OPEN = 1000


class ResultsService:
    """Runs until cancelled."""

    def __init__(
        self, bus: Bus, clock: Clock, section: ResultsSection, store: FileStore, *, directory: Path, version: str
    ) -> None:
        """`directory`: of the description. `version`: of countingroom, which is recorded with each result."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._publisher = Publisher(bus, clock, DEPARTMENT)
        place = ProgramPlace(
            bus=bus, clock=clock, store=store, publisher=self._publisher, directory=directory, version=version
        )
        self._targets = {name: ProgramTarget(name, one, place) for name, one in section.programs.items()}

    async def run(self) -> None:
        """Serve as the only process that does, as soon as no other one does."""
        while True:
            election = Election(
                self._bus,
                self._clock,
                LEASE,
                holder=holder_name("results", uuid4().hex),
                ttl_s=LEASE_S,
                ask_s=ASK_AGAIN_S,
                source=DEPARTMENT,
                keep=True,  # a program that runs must not be ended because the bus was away for a moment
            )
            await election.lead(self._lead)

    async def _lead(self, _: Leadership) -> None:
        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(self._publisher.run())
            try:
                await self._serve()
            finally:
                # The events of the end are still published.
                await self._publisher.flush()
                publishing.cancel()

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._end_left())
                for name, target in self._targets.items():
                    target.server = CommandServer(self._bus, self._clock, DEPARTMENT, name, target, self._publisher)
                    target.publish()
                    group.create_task(target.run())
                    group.create_task(target.server.run())
        finally:
            for target in self._targets.values():
                target.server = None

    async def _end_left(self) -> None:
        """Record as interrupted what a process before this one did not end."""
        report = edge_log(_log, "results: what was left is not recorded yet", "results: what was left is recorded")
        retry = Retry(self._clock, report, pause_s=RETRY_S)
        began_ns = self._clock.now_ns()
        wanted = ResultFilter(state=ResultState.RUNNING.value, limit=_MOST_OPEN)
        for left in await retry.run(lambda: self._store.find(wanted)):
            running = {one.number for one in self._targets.values()}
            if left.number not in running and left.started_ns <= began_ns:
                await retry.run(lambda left=left: self._interrupted(left))

    async def _interrupted(self, left: StoredResult) -> None:
        output = self._store.folder(left.number) / "output"
        await asyncio.to_thread(program.end_left, output)
        last_ns = await asyncio.to_thread(_last_written, self._store.folder(left.number))
        target = self._targets.get(left.program)
        problems: tuple[str, ...] = ()
        if await asyncio.to_thread(output.is_dir):
            patterns = target.section.collect if target else ["**/*"]
            try:
                problems = (await collecting.collect(self._store, left.number, output, patterns)).problems
            except LinkError:
                raise
            except Exception as error:
                _log.exception("results: the output of result %d could not be kept", left.number)
                problems = (collecting.problem_of(error),)
        cause = interrupted(left.program, "the process that watched it ended while it ran")
        end = ResultEnd(
            state=ResultState.INTERRUPTED,
            ended_ns=max(left.started_ns, last_ns),
            cause=cause,
            problems=problems,
        )
        ended = await self._store.end(left.number, end)
        if target:
            target.tell(ended)


def _last_written(folder: Path) -> int:
    """The time of the last write in a folder, in ns. It is the best estimate for the end of an unwatched program."""
    times = [path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return max(times, default=0)
