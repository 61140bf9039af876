"""A simulated device, its device host, and a client of the bus that follows and commands it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.console.present.latest import Latest
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Command, DeviceState, Event, EventKind, Reply, decode, encode
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources
from countingroom.devices.section import DeviceSection
from countingroom.simulators.port import Simulator
from tests.patience import PATIENCE_S

DEVICE = "cooler"


class Stand:
    """What a test sees and does."""

    def __init__(self, simulator: Simulator, latest: Latest, bus: MemoryBus) -> None:
        self.simulator = simulator
        self._latest = latest
        self._bus = bus

    @property
    def state(self) -> DeviceState | None:
        return self._latest.states.get(subjects.device_key(DEVICE))

    @property
    def readings(self) -> Mapping[str, Reading]:
        return self._latest.readings.get(DEVICE, {})

    def value(self, point: str) -> Scalar:
        reading = self.readings.get(point)
        return None if reading is None else reading.value

    async def until(self, true: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.01)

    async def until_state(self, word: str) -> DeviceState:
        await self.until(lambda: self.state is not None and self.state.state == word)
        assert self.state is not None
        return self.state

    async def until_quality(self, quality: Quality, *points: str) -> None:
        await self.until(lambda: all(self.readings[point].quality is quality for point in points))

    @property
    def channel_states(self) -> dict[str, DeviceState]:
        """The states of the channels, by channel."""
        return {one.channel: one for one in self._latest.states.values() if one.channel}

    async def give(self, action: str, *, channel: str = "", **arguments: Scalar) -> Reply:
        """Command; the answer."""
        now_ns = SystemClock().now_ns()
        self.id = uuid4().hex
        command = Command(
            id=self.id,
            action=action,
            channel=channel,
            arguments=arguments,
            issued_ns=now_ns,
            deadline_ns=now_ns + 10_000_000_000,
        )
        subject = subjects.command("tester", "devices", DEVICE)
        return decode((await self._bus.request(subject, encode(command), timeout_s=PATIENCE_S)).data, Reply)

    async def refusal(self, action: str, *, channel: str = "", **arguments: Scalar) -> str:
        """The code it is refused with."""
        reply = await self.give(action, channel=channel, **arguments)
        assert not reply.accepted and reply.cause is not None
        return reply.cause.code

    async def do(self, action: str, *, channel: str = "", **arguments: Scalar) -> Event:
        """Command, and how it ended, once its effect is known here, as the console answers it."""
        reply = await self.give(action, channel=channel, **arguments)
        assert reply.accepted, reply.cause
        async with asyncio.timeout(PATIENCE_S), self._bus.replay(subjects.EVENTS_STREAM) as events:
            async for stored in events:
                event = decode(stored.data, Event)
                if event.command_id == self.id and event.kind in {EventKind.DONE, EventKind.FAILED}:
                    await self._latest.catch_up(event.positions)
                    return event
        raise AssertionError("the events ended")


@asynccontextmanager
async def stand(
    simulator: Simulator, section: Callable[[Mapping[str, Any]], DeviceSection], *, off_at_first: bool = False
) -> AsyncGenerator[Stand]:
    """Everything running. `section` makes the device's section of the simulator's address."""
    described = section(await simulator.start())
    if off_at_first:
        await simulator.fault("drop", {})
    clock = SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    watcher = bus.client()
    latest = Latest(watcher, clock)
    resources = SharedResources()
    host = DeviceHost(bus, clock, [build(DEVICE, described, resources=resources)], resources=resources)
    running = [asyncio.create_task(host.run()), asyncio.create_task(latest.run())]
    try:
        yield Stand(simulator, latest, watcher)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await simulator.stop()
        await watcher.close()
        await bus.close()
