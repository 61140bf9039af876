"""A simulated mainframe, a device host and a watcher who commands; only the bus between them is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.console.present.latest import Latest
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Command, Event, EventKind, Link, Reply, decode, encode
from countingroom.core.values import Reading, Scalar
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources
from countingroom.simulators.caen import CaenSimulator
from tests.patience import PATIENCE_S

CHANNELS: dict[str, Any] = {
    str(n): {
        "lv": {"board": 0, "chan": n, "setV": 12.0},
        "hv": {"board": 12, "chan": n, "setV": 60.0, "rampUpSpeed": 100.0, "rampDwnSpeed": 200.0},
        **({"module": f"module_{n}"} if n < 3 else {}),
    }
    for n in range(4)
}
"""Three active channels, fast ones, and one without a module."""


class Stand:
    """What a test sees and does."""

    def __init__(self, simulator: CaenSimulator, latest: Latest, bus: MemoryBus) -> None:
        self.simulator = simulator
        self.latest = latest
        self._bus = bus

    def state(self, channel: str = "") -> str:
        key = subjects.channel_key("caen", channel) if channel else subjects.device_key("caen")
        state = self.latest.states.get(key)
        return state.state if state else ""

    def link(self, channel: str = "") -> Link:
        key = subjects.channel_key("caen", channel) if channel else subjects.device_key("caen")
        return self.latest.states[key].link

    def cause(self, channel: str = "") -> str:
        key = subjects.channel_key("caen", channel) if channel else subjects.device_key("caen")
        cause = self.latest.states[key].cause
        return cause.code if cause else ""

    def reading(self, point: str) -> Reading:
        return self.latest.readings["caen"][point]

    async def until(self, true: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Wait until it is true. A state may come before the first readings."""
        async with asyncio.timeout(within_s):
            while True:
                with suppress(KeyError):
                    if true():
                        return
                await asyncio.sleep(0.01)

    async def give(self, action: str, channel: str = "", **arguments: Scalar) -> Reply:
        """Command; the answer."""
        clock = SystemClock()
        self.id = uuid4().hex
        command = Command(
            id=self.id,
            action=action,
            channel=channel,
            arguments=arguments,
            issued_ns=clock.now_ns(),
            deadline_ns=clock.now_ns() + 10_000_000_000,
        )
        subject = subjects.command("tester", "devices", "caen")
        return decode((await self._bus.request(subject, encode(command), timeout_s=PATIENCE_S)).data, Reply)

    async def outcome(self) -> Event:
        """How the last accepted command ended, once its effect is known here, as the console answers it."""
        async with asyncio.timeout(PATIENCE_S), self._bus.replay(subjects.EVENTS_STREAM) as events:
            async for stored in events:
                event = decode(stored.data, Event)
                if event.command_id == self.id and event.kind in {EventKind.DONE, EventKind.FAILED}:
                    await self.latest.catch_up(event.positions)
                    return event
        raise AssertionError("the events ended")

    async def do(self, action: str, channel: str = "", **arguments: Scalar) -> Event:
        """Command, and how it ended."""
        reply = await self.give(action, channel, **arguments)
        assert reply.accepted, reply.cause
        return await self.outcome()


@asynccontextmanager
async def caen_stand(
    *, before: Callable[[CaenSimulator], None] | None = None, tick_s: float = 0.02, **section: Any
) -> AsyncGenerator[Stand]:
    """Everything running; `before` may change the outputs before the host comes. The outputs take steps of `tick_s`."""
    simulator = CaenSimulator({"channels": CHANNELS, "tick_s": tick_s})
    if before:
        before(simulator)
    where = await simulator.start()
    clock = SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    watcher = bus.client()
    latest = Latest(watcher, clock)
    described = CaenSection.model_validate({"driver": "caen", "channels": CHANNELS, **where, **section})
    resources = SharedResources()
    host = DeviceHost(bus, clock, [build("caen", described, resources=resources)], resources=resources)
    running = asyncio.gather(host.run(), latest.run())
    stand = Stand(simulator, latest, watcher)
    try:
        await stand.until(lambda: stand.state() not in {"", "DISCONNECTED", "CONNECTED"})
        yield stand
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await simulator.stop()
        await watcher.close()
        await bus.close()
