"""The run-control process: a standby for each partition and for the coordination of the experiment.

Ownership is by lease. All state is in the database and on the bus, so another process can take over at any time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from socket import gethostname
from uuid import NAMESPACE_OID, uuid4, uuid5

from countingroom.bus.election import holder_name
from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import heartbeat
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.clock_watch import StepWatch
from countingroom.core.interlocks.specs import Permissive
from countingroom.core.messages import Event, EventKind, decode
from countingroom.core.policy import Principal
from countingroom.core.systems import Placement
from countingroom.runs.agents.kinds.guardian import Guardian
from countingroom.runs.context import RunControlContext
from countingroom.runs.coordinator.coordinator import Coordinator
from countingroom.runs.description import RunsSection
from countingroom.runs.monitor.system_states import SystemStates
from countingroom.runs.partition.standby import PartitionStandby
from countingroom.runs.run_book_writer import RunBookWriter
from countingroom.storage.database import Database
from countingroom.storage.principals import Principals

_log = logging.getLogger(__name__)
_LOOK_S = 1.0


class RunsService:
    """The role `runs`: the coordinator, and a standby for each partition. The database must be open."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        section: RunsSection,
        database: Database,
        *,
        instance: str = "main",
        folder: Path | None = None,
        programs: Mapping[str, Principal] | None = None,
        permissives: Mapping[str, tuple[Permissive, ...]] | None = None,
    ) -> None:
        """`folder`: for entries of the run book that wait or are refused; None: they wait in memory. `programs`:
        principals of the description that are no users. `permissives`: partition -> the effects of interlocks that
        forbid the start of its runs."""
        boot = uuid4().hex
        self._publisher = Publisher(bus, clock, "runs")
        self._instance = instance
        self._context = RunControlContext(
            bus=bus,
            clock=clock,
            section=section,
            database=database,
            run_book=RunBookWriter(database, clock, folder, self._tell_of_the_run_book),
            system_states=SystemStates(bus, clock, self._tell_of_clocks),
            principals=Principals(database.users, clock, programs),
            guardian=Guardian(),
            boot=boot,
            holder=holder_name(instance, boot),
            permissives=permissives or {},
        )
        self._coordinator = Coordinator(self._context)
        self.standbys: dict[str, PartitionStandby] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run until cancelled. No order is sent to a system at the start or at the end."""
        try:
            await self._run(self._context)
        finally:
            await self._context.guardian.close()

    async def _run(self, context: RunControlContext) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                heartbeat(
                    context.bus,
                    context.clock,
                    role="runs",
                    instance=self._instance,
                    boot=context.boot,
                    targets=_Owned(self.standbys),
                    troubles=self._troubles,
                    warnings=self._warnings,
                )
            )
            group.create_task(self._publisher.run())
            group.create_task(self._watch_the_clock())
            group.create_task(context.run_book.run())
            group.create_task(context.system_states.run())
            group.create_task(self._coordinator.run())
            await BucketFollower(context.bus, context.clock, subjects.MAPPING_KEY, partial(self._take, group)).run()

    def _troubles(self) -> list[str]:
        return [*self._context.system_states.troubles(), *self._context.run_book.troubles()]

    def _warnings(self) -> list[str]:
        return [*self._context.system_states.warnings(), *self._context.run_book.warnings()]

    async def _watch_the_clock(self) -> None:
        clock = self._context.clock
        watch = StepWatch(clock.now_ns(), clock.monotonic())
        while True:
            await clock.sleep(_LOOK_S)
            if step_s := watch.look(clock.now_ns(), clock.monotonic()):
                self._tell_of_clocks(f"the clock of {gethostname()} was set {step_s:+.1f} s")

    def _tell_of_clocks(self, message: str) -> None:
        """Record an event. Processes on one computer find the same, and the bus stores an event id once."""
        clock = self._context.clock
        minute = clock.now_ns() // 60_000_000_000
        _log.warning("%s", message)
        self._publisher.event(
            Event(
                id=uuid5(NAMESPACE_OID, f"{gethostname()} {minute} {message}").hex,
                kind=EventKind.NOTE,
                time_ns=clock.now_ns(),
                department="runs",
                source=subjects.EXPERIMENT,
                message=message,
                action="clock",
                severity=2,
            )
        )

    def _tell_of_the_run_book(self, partition: str, message: str) -> None:
        self._publisher.event(
            Event(
                id=uuid4().hex,
                kind=EventKind.NOTE,
                time_ns=self._context.clock.now_ns(),
                department="runs",
                source=partition or subjects.EXPERIMENT,
                message=message,
                action="run_book",
                severity=2,
            )
        )

    def _take(self, group: asyncio.TaskGroup, entry: Entry) -> None:
        """Keep one standby for each partition; let owners reload when the stored layout has changed."""
        if entry.data is None:
            return
        placement = decode(entry.data, Placement)
        for name in [name for name in self.standbys if name not in placement.partitions]:
            del self.standbys[name]
            self._tasks.pop(name).cancel()
        for standby in self.standbys.values():
            if standby.owner:
                standby.owner.look_anew()
        for name in placement.partitions:
            if name not in self.standbys:
                self.standbys[name] = PartitionStandby(self._context, name)
                self._tasks[name] = group.create_task(self.standbys[name].run())


class _Owned:
    """The partitions that this process owns now and has published the state of."""

    def __init__(self, standbys: dict[str, PartitionStandby]) -> None:
        self._standbys = standbys

    def __iter__(self) -> Iterator[str]:
        for name, standby in self._standbys.items():
            if standby.owner and standby.owner.state_publisher.shown:
                yield subjects.partition_key(name)
