"""Measures what one node and its instances use, at a slow rate, and publishes it as readings of a device."""

from __future__ import annotations

import logging
from collections.abc import Callable
from zlib import crc32

from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.fleet.host_facts import SCRIPT, host_use
from countingroom.core.fleet.specs import InstanceId, Volume
from countingroom.core.fleet.usage import HostUse, InstanceUse, MeasuredNode, NodeUse, UseLimits, catalogue, measured
from countingroom.core.points import Point
from countingroom.core.retry import edge_log
from countingroom.fleet.engines.port import EngineInstance, EngineUse, MeasuringEngine
from countingroom.fleet.node import Node
from countingroom.fleet.node_readings import NodeReadings

_log = logging.getLogger(__name__)
ASK_S = 5.0
"""For one question inside of a container."""
_MOST_S = 25.0
_NETWORK = ("nfs", "nfs4", "cifs", "sshfs", "glusterfs", "ceph")
_NO_PROGRAM = (126, 127)
_PHASES = 30


class WatchSettings(Struct, frozen=True, kw_only=True):
    """How nodes are measured."""

    every_s: float = 30.0
    limits: UseLimits = UseLimits()


class Watch:
    """The measurements of one node."""

    def __init__(
        self, bus: Bus, clock: Clock, publisher: Publisher, node: Node, settings: WatchSettings, boot: str
    ) -> None:
        """`publisher`: of the catalogue. `boot`: of this process."""
        self._clock = clock
        self._publisher = publisher
        self._node = node
        self._settings = settings
        self._boot = boot
        self._readings = NodeReadings(bus, clock, node.name, boot)
        self._points: tuple[Point, ...] = ()
        self._before: NodeUse | None = None
        self._report = edge_log(
            _log, f"fleet: what {node.name} uses is not measured", f"fleet: what {node.name} uses is measured again"
        )

    async def run(self) -> None:
        """Measure until cancelled."""
        every_s = self._settings.every_s
        # Hundreds of nodes are not measured in the same moment.
        await self._clock.sleep(1.0 + every_s * (crc32(self._node.name.encode()) % _PHASES) / _PHASES / 4)
        while True:
            await self._once()
            await self._clock.sleep(every_s)

    async def _once(self) -> None:
        if not self._node.is_reachable:
            self._before = None
            await self._readings.lose(f"{self._node.name} does not answer")
            return
        try:
            async with within(self._clock, _MOST_S):
                use = await self._measure()
        except (TimeoutError, CountingRoomError) as error:
            told = error.cause if isinstance(error, CountingRoomError) else _LATE
            self._report.failed(told)
            await self._readings.lose(told.message)
            return
        self._report.worked()
        await self._publish(measured(use, self._before, self._settings.limits))
        self._before = use

    async def _publish(self, found: MeasuredNode) -> None:
        if found.points != self._points:
            self._points = found.points
            described = catalogue(self._node.name, found.points, self._boot)
            self._publisher.state(subjects.catalogue_key(described.device), described)
        await self._readings.publish(found)

    async def _measure(self) -> NodeUse:
        engine, there = self._node.engine, self._node.instances
        at_s = self._clock.monotonic()
        known = EngineUse(instances={one.id: InstanceUse(ends=one.crashes) for one in there})
        if isinstance(engine, MeasuringEngine):
            known = await engine.use()
        containers = [one for one in there if one.is_running and one.spec.image]
        host = known.host
        if host is None and containers:
            host = await self._ask_host(containers[0])
        volumes: dict[tuple[InstanceId, str], str] = {}
        for one in containers:
            for volume in one.spec.volumes:
                if _may_hang(volume) and (why := await self._ask_volume(one, volume)) is not None:
                    volumes[one.id, volume.target] = why
        return NodeUse(
            at_s=at_s,
            host=host or HostUse(),
            clock_offset_s=known.clock_offset_s,
            instances=known.instances,
            volumes=volumes,
        )

    async def _ask_host(self, one: EngineInstance) -> HostUse:
        """By a container: what it sees below /proc is that of the computer."""
        status, output = await self._node.engine.execute(one.id, ("sh", "-c", SCRIPT), ASK_S)
        return HostUse() if status in _NO_PROGRAM else host_use(output)

    async def _ask_volume(self, one: EngineInstance, volume: Volume) -> str | None:
        """Why a volume does not answer; empty: it does. None: the container has no program that asks it. The engine
        begins no second question while the one before hangs."""
        status, output = await self._node.engine.execute(one.id, ("stat", "-f", volume.target), ASK_S)
        if status in _NO_PROGRAM:
            return None
        said = output.strip().rpartition("\n")[2][:200]
        return "" if status == 0 else f"{volume.target} of {one.id} does not answer: {said}"


def _may_hang(volume: Volume) -> bool:
    """Whether it can be on another computer: a folder of the node may be mounted there."""
    return volume.source.startswith("/") or volume.options.get("type", "") in _NETWORK or volume.driver in _NETWORK


_LATE = Cause(
    code="timeout",
    message=f"it could not be measured within {_MOST_S:g} s",
    source="fleet",
    suggestion="look at the load of the node and at the way to it",
)
MakeWatch = Callable[[Node], Watch]
