"""What nodes use is published as readings of devices, and what a node does not tell any more is stale."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.fleet.specs import InstanceId, Revision, WantedNode
from countingroom.core.fleet.usage import HostUse, InstanceUse
from countingroom.core.messages import Catalogue, Readings, decode, encode
from countingroom.core.values import Quality
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.port import EngineUse, MeasuringEngine
from countingroom.fleet.keeper import DescribedFleet
from countingroom.fleet.node import Node
from countingroom.fleet.reconciler.apply import apply
from countingroom.fleet.service import FleetService
from countingroom.fleet.wanted import wanted
from countingroom.fleet.watch import WatchSettings
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_engine import FakeEngine
from tests.scenario.test_fleet_keeper import MemoryFleet

CAMERA = InstanceId("camera", "n1")
SECTION = FleetSection.model_validate(
    {
        "nodes": {"n1": {"engine": "docker", "url": "unix:///run/docker.sock"}},
        "services": {
            "camera": {"image": "camera:1", "nodes": ["n1"], "volumes": [{"source": "/nfs/data", "target": "/data"}]}
        },
    }
)


class MeasuredEngine(FakeEngine):
    """An engine with statistics and a volume."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.busy_s = 0.0
        self.answer: tuple[int, str] = (0, "")
        self.asked: list[Sequence[str]] = []

    async def use(self) -> EngineUse:
        self._answer()
        used = InstanceUse(cpu_s=self.busy_s / 2, memory_bytes=3 * 2**20)
        return EngineUse(
            instances=dict.fromkeys(self.present, used),
            host=HostUse(busy_s=self.busy_s, cores=2, disk_bytes=1000, disk_used_bytes=900),
            clock_offset_s=0.0,
        )

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        self.asked.append(command)
        return self.answer


class WatchedSite:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.engine = MeasuredEngine(self.clock)
        self.engine.registry.add("camera:1")
        self.fleet = MemoryFleet()

    @asynccontextmanager
    async def keeper(self) -> AsyncGenerator[None]:
        def node(one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
            return Node(self.clock, one.name, one.address, self.engine, changed, line)

        async def describe() -> Revision:
            return wanted(SECTION)

        described = DescribedFleet(nodes=wanted(SECTION).nodes)
        bus = self.bus.client()
        service = FleetService(bus, self.clock, self.fleet.store(), node, described, describe, WatchSettings())
        task = asyncio.create_task(service.run())
        try:
            yield
        finally:
            task.cancel()
            await self.clock.advance(3)
            with suppress(asyncio.CancelledError):
                await task

    async def readings(self) -> list[Readings]:
        async with self.bus.replay(subjects.READINGS_STREAM, follow=False) as stored:
            return [decode(one.data, Readings) async for one in stored]

    async def catalogue(self, device: str) -> Catalogue | None:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.catalogue_key(device))
        return decode(entry.data, Catalogue) if entry and entry.data else None


@pytest.fixture
async def site() -> WatchedSite:
    made = WatchedSite()
    await prepare(made.bus)
    made.fleet.revisions[1] = await made.fleet.add(wanted(SECTION))
    return made


async def test_what_a_node_uses_is_published_slowly_and_only_where_it_changed(site: WatchedSite) -> None:
    assert isinstance(site.engine, MeasuringEngine)
    gone = Catalogue(device="node-old", title="", driver="fleet", group="", points=())
    chiller = Catalogue(device="chiller", title="", driver="julabo", group="", points=())
    for one in (gone, chiller):
        await site.bus.put(subjects.STATE_BUCKET, subjects.catalogue_key(one.device), encode(one))
    async with site.keeper():
        await site.clock.advance(20)
        assert await site.catalogue("node-old") is None and await site.catalogue("chiller")
        described = await site.catalogue("node-n1")
        assert described and [one.name for one in described.points] == ["cpu", "disk", "clock_offset"]
        (first,) = await site.readings()
        assert first.full and dict(zip(first.points, first.values, strict=True))["disk"] == 90.0
        assert first.qualities[first.points.index("cpu")] == Quality.STALE  # a rate needs two
        await site.clock.advance(30)
        (_, second) = await site.readings()
        assert not second.full and (second.points, second.values) == (["cpu"], [0.0])
        site.engine.busy_s = 30.0
        await site.clock.advance(30)
        third = (await site.readings())[-1]
        assert third.full and third.values[third.points.index("cpu")] == pytest.approx(50.0)
        await site.clock.advance(600)
        assert len(await site.readings()) <= 3 + 12  # a full one in each minute, and the end of the load
        site.engine.away = True
        site.engine.tell()
        await site.clock.advance(35)
        lost = (await site.readings())[-1]
        assert set(lost.qualities) == {Quality.STALE} and lost.reasons["disk"] == "n1 does not answer"


async def test_a_volume_that_does_not_answer_is_a_fault_of_its_instance(site: WatchedSite) -> None:
    site.engine.stock.add("camera:1")
    async with site.keeper():
        await site.clock.advance(2)
        site.fleet.kept = apply(site.fleet.kept, site.fleet.revisions[1], site.clock.now_ns())
    async with site.keeper():
        await site.clock.advance(50)
        described = await site.catalogue("node-n1")
        assert described and described.channels == ("camera",)
        assert ("stat", "-f", "/data") in site.engine.asked
        site.engine.answer = (124, "stat of an earlier call has not ended yet")
        await site.clock.advance(30)
        rows = dict((await site.readings())[-1].rows())
        assert rows["camera.volume_data"].value is True
        assert "has not ended yet" in rows["camera.volume_data"].reason
