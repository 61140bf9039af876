"""Nothing a device says is lost silently, whatever the bus does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from countingroom.bus import publisher, streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import DeviceState, Event, EventKind, Link, Readings, decode
from countingroom.core.points import Point
from countingroom.devices.host import publish
from countingroom.devices.host.points import PointTable
from countingroom.devices.host.publish import FULL_S, ReadingsPump
from countingroom.devices.port import Sample
from countingroom.testing.clock import FakeClock


class MutedBus(MemoryBus):
    """Stores what it is given; for a while its acknowledgements do not arrive."""

    muted = 0

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        sequence = await super().append(subject, data, message_id=message_id)
        if self.muted:
            self.muted -= 1
            raise LinkError("no acknowledgement came")
        return sequence


class Desk:
    def __init__(self, bus: MutedBus, clock: FakeClock) -> None:
        self.bus = bus
        self.clock = clock
        self.table = PointTable("d", [Point(name="p"), Point(name="q")], clock.now_ns())
        self.pump = ReadingsPump(bus, clock, self.table, "boot")
        self.recorder = Publisher(bus, clock, "devices.d")

    def say(self, value: float) -> None:
        self.table.take([Sample(point="p", value=value)], now_ns=self.clock.now_ns(), monotonic=self.clock.monotonic())
        self.pump.wake()

    def happen(self, number: int) -> None:
        self.recorder.event(
            Event(
                id=f"e{number}", kind=EventKind.NOTE, time_ns=0, department="devices", source="d", message=str(number)
            )
        )

    def state(self, word: str) -> DeviceState:
        return DeviceState(device="d", state=word, link=Link.CONNECTED, since_ns=0)

    async def messages(self) -> list[Readings]:
        async with self.bus.client().replay(subjects.READINGS_STREAM, follow=False) as stored:
            return [decode(one.data, Readings) async for one in stored]

    async def events(self) -> list[str]:
        async with self.bus.client().replay(subjects.EVENTS_STREAM, follow=False) as stored:
            return [decode(one.data, Event).message async for one in stored]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(part.run()) for part in (self.pump, self.recorder)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


@pytest.fixture
async def desk() -> Desk:
    clock = FakeClock()
    bus = MutedBus(clock)
    await streams.prepare(bus)
    return Desk(bus, clock)


async def test_a_message_without_acknowledgement_is_given_again_and_stored_once(desk: Desk) -> None:
    async with desk.running():
        desk.say(1.0)
        desk.bus.muted = 3
        await desk.clock.advance(0.5)
        desk.say(2.0)
        await desk.clock.advance(2.0)
    messages = await desk.messages()
    assert [message.sequence for message in messages] == list(range(1, len(messages) + 1))
    assert messages[-1].full
    assert messages[-1].values[0] == 2.0


async def test_one_change_is_on_the_bus_at_once_and_the_next_soon(desk: Desk) -> None:
    async with desk.running():
        desk.pump.full()
        await desk.clock.advance(1.0)
        desk.say(1.0)
        await desk.clock.advance(0)
        desk.say(2.0)
        await desk.clock.advance(0)
        assert [message.values for message in (await desk.messages())[1:]] == [[1.0]]
        await desk.clock.advance(publish.FLUSH_S)
        assert [message.values for message in (await desk.messages())[1:]] == [[1.0], [2.0]]


async def test_a_full_message_comes_when_it_is_time(desk: Desk) -> None:
    async with desk.running():
        desk.say(1.0)
        await desk.clock.advance(FULL_S - 1)
        desk.pump.tick()
        await desk.clock.advance(1)
        assert len(await desk.messages()) == 1
        desk.pump.tick()
        await desk.clock.advance(0)
        assert [message.full for message in await desk.messages()] == [True, True]


async def test_events_of_a_bus_away_come_in_order_when_it_is_back_and_it_is_logged_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="countingroom.bus")
    async with desk.running():
        desk.bus.cut()
        for number in range(50):
            desk.happen(number)
            await desk.clock.advance(1.0)
        desk.bus.mend()
        await desk.clock.advance(1.0)
    assert await desk.events() == [str(number) for number in range(50)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_more_events_than_there_is_room_for_lose_the_oldest_and_say_so(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "EVENTS", 10)
    desk.recorder = Publisher(desk.bus, desk.clock, "devices.d")
    for number in range(15):
        desk.happen(number)
    async with desk.running():
        await desk.clock.advance(1.0)
    assert await desk.events() == [str(number) for number in range(5, 15)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_of_a_state_only_the_latest_is_kept_while_the_bus_is_away(desk: Desk) -> None:
    key = subjects.device_key("d")
    async with desk.running():
        desk.bus.cut()
        for word in ("ON", "OFF", "ERROR"):
            desk.recorder.state(key, desk.state(word))
            await desk.clock.advance(0.1)
        desk.bus.mend()
        await desk.clock.advance(1.0)
        entry = await desk.bus.get(subjects.STATE_BUCKET, key)
        assert entry
        assert entry.data
        assert decode(entry.data, DeviceState).state == "ERROR"
        assert entry.revision == 1
