"""A device of the device host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.messages import DeviceState, decode
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import Hosted
from countingroom.devices.section import DeviceSection
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_device import FakeBehaviour, FakeDriver, FakeSupply
from tests.contract.command_servers.harness import Given, Target


class SupplySection(DeviceSection):
    driver: Literal["fake"] = "fake"


class DeviceTarget(Target):
    department = "devices"
    name = "supply"
    state = "OFF"
    do = Given("switch_on", channel="a")
    undo = Given("switch_off", channel="a")
    already = Given("switch_off", channel="a")
    unknown_argument = Given("ramp", {"volts": 1.0, "speed": 1})
    missing_argument = Given("ramp")
    supply: FakeSupply
    task: asyncio.Task[None]

    async def is_so(self) -> bool:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.channel_key("supply", "a"))
        return bool(entry and entry.data and decode(entry.data, DeviceState).state == "ON")

    async def prepare_failure(self) -> Given:
        self.supply.following = False
        return Given("set", {"point": "b.v_set", "value": 5.0})

    async def prepare_endless(self) -> Given:
        return await self.prepare_failure()

    async def stop(self) -> None:
        self.task.cancel()
        for _ in range(60):
            await self.clock.advance(0.1)
            if self.task.done():
                break
        with suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def begin() -> AsyncGenerator[Target]:
    clock = FakeClock()
    target = DeviceTarget(clock, MemoryBus(clock))
    await streams.prepare(target.bus)
    target.supply = FakeSupply()
    hosted = Hosted(
        name="supply",
        title="Supply",
        group="Power supplies",
        driver=FakeDriver(target.supply),
        behaviour=FakeBehaviour(),
        section=SupplySection(),
    )
    target.task = asyncio.create_task(DeviceHost(target.bus.client("devices"), clock, [hosted]).run())
    await clock.advance(1.0)
    try:
        yield target
    finally:
        await target.stop()
