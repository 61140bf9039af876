"""Latest reported states of all systems and liveness of their agents, shared by all partitions of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause
from countingroom.core.systems import SystemState
from countingroom.runs.monitor.agent_liveness import Liveness
from countingroom.runs.monitor.durations import Durations
from countingroom.runs.planner.events import Fact, LinkChanged, Reported

Tell = Callable[[Fact], None]
_decoder = msgspec.msgpack.Decoder(SystemState)


class SystemStates:
    """The last report of every system, and the subscribers to its changes."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._present: dict[str, SystemState] = {}
        self._followers: dict[str, set[Tell]] = {}
        """Subscribers by key of a report; by name of a system for its connection."""
        self._liveness = Liveness(bus, clock, self._link_changed)
        self._follower = BucketFollower(bus, clock, "system.>", self._take)
        self.durations = Durations()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._liveness.run())
            group.create_task(self._follower.run())

    async def settled(self, systems: Iterable[str]) -> None:
        """Return when every state has been read and the connection of each of these systems is known."""
        await self._follower.ready()
        if missing := [name for name in systems if not self.connected(name) and not self._liveness.why_not(name)]:
            self._liveness.expect(missing)
        await self._liveness.settled()

    def connected(self, system: str) -> bool:
        """Whether its agent is connected."""
        return self._liveness.connected(system)

    def why_not(self, system: str) -> Cause | None:
        """Why its agent is not connected; None if it is connected or not known yet."""
        return self._liveness.why_not(system)

    def present(self, system: str, partition: str = "") -> SystemState | None:
        """Its last report; for a global system, the report for one partition."""
        return self._present.get(subjects.system_key(system, partition))

    def facts(self, system: str, partition: str = "") -> Iterator[Fact]:
        """Its present state as facts, for a partition whose owner starts."""
        if state := self.present(system, partition):
            yield Reported(state=state)
        if self.connected(system):
            yield LinkChanged(system=system, connected=True)
        elif cause := self._liveness.why_not(system):
            yield LinkChanged(system=system, connected=False, cause=cause)

    @contextmanager
    def followed(self, tell: Tell, members: Iterable[tuple[str, str]]) -> Generator[None]:
        """While entered, report every change of these systems (name, and partition of a global system)."""
        keys = [key for system, at in members for key in (subjects.system_key(system, at), system)]
        for key in keys:
            self._followers.setdefault(key, set()).add(tell)
        try:
            yield
        finally:
            for key in keys:
                self._followers[key].discard(tell)

    def _link_changed(self, change: LinkChanged) -> None:
        for tell in tuple(self._followers.get(change.system, ())):
            tell(change)

    def _take(self, entry: Entry) -> None:
        if entry.data is None:
            self._present.pop(entry.key, None)
            return
        state = _decoder.decode(entry.data)
        before = self._present.get(entry.key)
        self._present[entry.key] = state
        self.durations.reported(before, state)
        fact = Reported(state=state)
        for tell in tuple(self._followers.get(entry.key, ())):
            tell(fact)
