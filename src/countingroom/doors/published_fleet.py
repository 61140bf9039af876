"""The fleet as it is published: nodes, services, and whether its keeper is there."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import INTERVAL_S, MAIN, MISSED
from countingroom.bus.served import follow_heartbeats
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError
from countingroom.core.fleet.states import InstanceState, NodeState, ServiceState
from countingroom.core.messages import Presence, decode
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

RETRY_S = 2.0
_SILENT_S = (MISSED + 1) * INTERVAL_S


class PublishedFleet:
    """Follows the states of the fleet."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self.clock = clock
        self.nodes: dict[str, NodeState] = {}
        self.services: dict[str, ServiceState] = {}
        self._followers = (
            BucketFollower(bus, clock, "node.*", self._take_node),
            BucketFollower(bus, clock, "service.*", self._take_service),
        )
        self._kept_s = float("-inf")
        self._keeper = ""
        """The start of the process that keeps the fleet, as its heartbeats have it; empty: none was heard."""
        self._waiting: set[asyncio.Event] = set()

    def parts(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs beside, each until cancelled."""
        return [*(one.run for one in self._followers), self._follow_keeper]

    async def ready(self) -> None:
        """Return when the first states are there."""
        for one in self._followers:
            await one.ready()

    @property
    def doubt(self) -> str:
        """Why what is known may be old; empty: it is present."""
        if any(one.stale for one in self._followers):
            return "The bus is not reached: what is told may be old."
        if self.clock.monotonic() - self._kept_s > _SILENT_S:
            return "No keeper of the fleet runs: what is told may be old."
        return ""

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when it holds, asked again after each change."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            while not holds():
                await changed.wait()
                changed.clear()
        finally:
            self._waiting.discard(changed)

    async def keeper_ended(self) -> None:
        """Return when the process that keeps the fleet now does so no more: another one does, or it is silent."""
        keeper, began_s = self._keeper, self.clock.monotonic()
        while True:
            left_s = _SILENT_S - (self.clock.monotonic() - max(began_s, self._kept_s))
            if left_s <= 0:
                return
            try:
                async with within(self.clock, left_s):
                    await self.until(partial(self._has_other_keeper, keeper))
            except TimeoutError:
                continue
            if keeper:
                return
            keeper = self._keeper  # the first heartbeat that was heard

    def _has_other_keeper(self, keeper: str) -> bool:
        return self._keeper != keeper

    def _changed(self) -> None:
        for one in self._waiting:
            one.set()

    def _take_node(self, entry: Entry) -> None:
        name = entry.key.partition(".")[2]
        if entry.data is None:
            self.nodes.pop(name, None)
        else:
            self.nodes[name] = decode(entry.data, NodeState)
        self._changed()

    def _take_service(self, entry: Entry) -> None:
        name = entry.key.partition(".")[2]
        if entry.data is None:
            self.services.pop(name, None)
        else:
            self.services[name] = decode(entry.data, ServiceState)
        self._changed()

    async def _follow_keeper(self) -> None:
        report = edge_log(_log, "doors: heartbeats are not followed", "doors: heartbeats are followed again")

        def hear(presence: Presence) -> None:
            self._kept_s = float("-inf") if presence.leaving else self.clock.monotonic()
            if self._keeper != presence.boot:
                self._keeper = presence.boot
                self._changed()

        async def follow() -> None:
            # Those that stand by beat under other names.
            await follow_heartbeats(self._bus, hear, report.worked, subjects.presence("fleet", MAIN))

        await Retry(self.clock, report, pause_s=RETRY_S, on=CountingRoomError).forever(follow)


class DoorView:
    """The part of the fleet that a door shows."""

    def __init__(self, fleet: PublishedFleet, nodes: list[str], services: list[str]) -> None:
        """Patterns of names."""
        self._fleet = fleet
        self._node_patterns = nodes
        self._service_patterns = services

    @property
    def doubt(self) -> str:
        """Why what is known may be old; empty: it is present."""
        return self._fleet.doubt

    async def until(self, holds: Callable[[], bool], *, most_s: float | None = None) -> bool:
        """Wait until `holds` is true. Returns False if it is not true after `most_s`."""
        if most_s is None:
            await self._fleet.until(holds)
            return True
        try:
            async with within(self._fleet.clock, most_s):
                await self._fleet.until(holds)
        except TimeoutError:
            return False
        return True

    @property
    def nodes(self) -> dict[str, NodeState]:
        """In the order of their names, with numbers in them as numbers."""
        found = self._fleet.nodes
        return {name: found[name] for name in sorted(found, key=_order) if _fits(name, self._node_patterns)}

    @property
    def services(self) -> dict[str, ServiceState]:
        """Services that are wanted."""
        found = self._fleet.services
        return {
            name: found[name]
            for name in sorted(found, key=_order)
            if _fits(name, self._service_patterns) and found[name].is_wanted
        }

    def instances(self, node: str) -> Iterator[tuple[str, InstanceState]]:
        """(service, instance) of those on this node."""
        for name, service in self.services.items():
            for one in service.instances:
                if one.node == node:
                    yield name, one


def _fits(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _order(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.findall(r"\d+|\D+", name)]
