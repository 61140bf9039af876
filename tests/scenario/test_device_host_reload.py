"""A device host takes other devices while it runs: what is not named goes on untouched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from countingroom.bus import streams
from countingroom.bus.ask import stored_state
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.messages import Catalogue, DeviceState, Link
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.host.reload import HostReload
from countingroom.devices.registry import Hosted
from countingroom.devices.section import DeviceSection
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_device import FakeBehaviour, FakeDriver, FakeSupply


class FakeSection(DeviceSection):
    driver: Literal["fake"] = "fake"


class Bench:
    """A host with fake supplies, each device with its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.supplies: dict[str, FakeSupply] = {}
        self.host: DeviceHost

    def built(self, name: str, section: DeviceSection) -> Hosted:
        return Hosted(
            name=name,
            title=section.title or name,
            group=section.group,
            driver=FakeDriver(self.supplies.setdefault(name, FakeSupply())),
            behaviour=FakeBehaviour(),
            section=section,
        )

    @asynccontextmanager
    async def running(self, *names: str) -> AsyncGenerator[HostReload]:
        await streams.prepare(self.bus, max_bytes=1 << 30)
        self.host = DeviceHost(self.bus, self.clock, [self.built(name, FakeSection()) for name in names])
        task = asyncio.create_task(self.host.run())
        await self.clock.advance(0.3)
        try:
            yield HostReload(self.host, self.built)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def link(self, device: str) -> Link | None:
        state = await stored_state(self.bus, subjects.device_key(device), DeviceState)
        return state.link if state else None


async def test_only_the_devices_of_the_change_are_touched() -> None:
    bench = Bench()
    async with bench.running("a", "b", "c") as reload:
        reload.prepare([("b", FakeSection(poll=0.5)), ("new", FakeSection())], [], ["c"])
        assert bench.supplies["b"].connections == 1, "nothing happens before it is in force"
        await reload.commit()
        await bench.clock.advance(1.0)
        assert {name: one.connections for name, one in bench.supplies.items()} == {"a": 1, "b": 2, "c": 1, "new": 1}
        assert [await bench.link(name) for name in ("a", "b", "c", "new")] == [
            *(Link.CONNECTED, Link.CONNECTED, None, Link.CONNECTED)
        ]
        assert set(bench.host.devices) == {"a", "b", "new"}
        reads = bench.supplies["a"].reads, bench.supplies["c"].reads
        await bench.clock.advance(2.0)
        assert bench.supplies["a"].reads >= reads[0] + 2
        assert bench.supplies["c"].reads == reads[1]


async def test_limits_and_titles_change_without_a_reconnection() -> None:
    bench = Bench()
    async with bench.running("a") as reload:
        section = FakeSection.model_validate(
            {
                "title": "Lower rack",
                "points": {"temperature": {"alarm_high": 30.0}},
                "commands": {"switch_on": {"dangerous": True}},
            }
        )
        reload.prepare([], [("a", section)], [])
        await reload.commit()
        await bench.clock.advance(1.0)
        catalogue = await stored_state(bench.bus, subjects.catalogue_key("a"), Catalogue)
        assert catalogue is not None
        assert catalogue.title == "Lower rack"
        assert {one.name: one.limits.alarm_high for one in catalogue.points}["temperature"] == 30.0
        assert {one.name: one.dangerous for one in catalogue.commands}["switch_on"]
        assert bench.supplies["a"].connections == 1


async def test_what_was_prepared_and_cancelled_has_no_effect() -> None:
    bench = Bench()
    async with bench.running("a") as reload:
        reload.prepare([("new", FakeSection())], [], ["a"])
        reload.cancel()
        await reload.commit()
        await bench.clock.advance(1.0)
        assert set(bench.host.devices) == {"a"}
        assert await bench.link("a") is Link.CONNECTED
