"""Latest states of all systems and liveness of their agents, shared by all partitions of a process.

Each process follows the bus once and passes every change to the partitions that have the system as a member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.clock_watch import difference
from countingroom.core.errors import Cause
from countingroom.core.messages import MessageDecoder
from countingroom.core.systems import SystemState
from countingroom.runs.monitor.agent_liveness import Liveness
from countingroom.runs.monitor.durations import Durations
from countingroom.runs.planner.events import Fact, LinkChanged, Reported

Tell = Callable[[Fact], None]
_decoder = MessageDecoder(SystemState)


class SystemStates:
    """The latest report of every system, and the callbacks for the next ones."""

    def __init__(self, bus: Bus, clock: Clock, differs: Callable[[str], None] = lambda _: None) -> None:
        """`differs` is called with a sentence when the clock of a computer begins or ceases to differ."""
        self._bus = bus
        self._clock = clock
        self._present: dict[str, SystemState] = {}
        self._followers: dict[str, set[Tell]] = {}
        """Key of a report -> callbacks for reports; name of a system -> callbacks for its liveness."""
        self._liveness = Liveness(bus, clock, self._link_changed, differs)
        self._follower = BucketFollower(bus, clock, "system.>", self._take)
        self.durations = Durations()
        self._highest_run = 0
        self.skipped = 0
        """Run numbers up to this one were skipped in the run book."""

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._liveness.run())
            group.create_task(self._follower.run())

    async def settled(self, systems: Iterable[str]) -> None:
        """Return when all states have been read, and the liveness of each of these systems is known."""
        await self._follower.ready()
        if missing := [name for name in systems if not self.connected(name) and not self._liveness.why_not(name)]:
            self._liveness.expect(missing)
        await self._liveness.settled()

    def troubles(self) -> list[str]:
        """Why these states may be outdated; empty: they are not."""
        return ["the states of the systems are not followed"] if self._follower.stale else []

    def warnings(self) -> list[str]:
        """One sentence for each computer of agents with a clock that differs from the clock of this computer."""
        return [difference(host, ahead_s) for host, ahead_s in self._liveness.clocks.present.items()]

    def connected(self, system: str) -> bool:
        """Whether the agent of the system is connected."""
        return self._liveness.connected(system)

    def why_not(self, system: str) -> Cause | None:
        """Why the agent is not connected; None while it is connected or while this is not known yet."""
        return self._liveness.why_not(system)

    def present(self, system: str, partition: str = "") -> SystemState | None:
        """The latest report of a system; for a global system, the one for the partition."""
        return self._present.get(subjects.system_key(system, partition))

    def highest_run(self) -> int:
        """The highest number of a run that a system was seen recording; 0: none."""
        return self._highest_run

    def facts(self, system: str, partition: str = "") -> Iterator[Fact]:
        """The present knowledge about a system as facts, for a partition that starts to follow it."""
        if state := self.present(system, partition):
            yield Reported(state=state)
        if self.connected(system):
            yield LinkChanged(system=system, connected=True)
        elif cause := self._liveness.why_not(system):
            yield LinkChanged(system=system, connected=False, cause=cause)

    @contextmanager
    def followed(self, tell: Tell, members: Iterable[tuple[str, str]]) -> Generator[None]:
        """Call `tell` with each change of these members while entered. A member is (system, partition); the
        partition is empty for a detector."""
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
        self._highest_run = max(self._highest_run, state.run, state.last_run)
        self.durations.reported(before, state, self._clock.now_ns())
        fact = Reported(state=state)
        for tell in tuple(self._followers.get(entry.key, ())):
            tell(fact)
