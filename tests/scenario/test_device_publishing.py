"""No reading of a device is lost without being told, in any state of the bus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from countingroom.bus import publisher, streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.publisher import Publisher
from countingroom.bus.unstored_queue import LostSpan
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import DeviceState, Event, EventKind, Link, Readings, decode
from countingroom.core.points import Point
from countingroom.devices.host import points as host_points
from countingroom.devices.host import publish
from countingroom.devices.host.points import PointTable
from countingroom.devices.host.publish import FULL_S, ReadingsPump
from countingroom.devices.port import Sample
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S


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
    async def running(self) -> AsyncGenerator[None]:
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
    *kept, told = await desk.events()
    assert kept == [str(number) for number in range(5, 15)]
    assert "5 from 1970-01-01 00:00:00 UTC to" in told
    assert [record.levelname for record in caplog.records] == ["ERROR"]


class FullDiskBus(MutedBus):
    """Its streams answer nothing while `full`, as those of a server whose disk is full."""

    full = False

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        if self.full:
            self.server.deliver(Message(subject=subject, data=data))
            await self.server.clock.sleep(1.0)
            raise LinkError("no answer", code="no_answer")
        return await super().append(subject, data, message_id=message_id)


@pytest.fixture
async def full_disk() -> Desk:
    clock = FakeClock()
    bus = FullDiskBus(clock)
    await streams.prepare(bus)
    return Desk(bus, clock)


async def test_states_and_live_values_go_on_while_the_streams_do_not_store(full_disk: Desk) -> None:
    desk, key = full_disk, subjects.device_key("d")
    assert isinstance(desk.bus, FullDiskBus)
    desk.bus.full = True
    async with desk.running(), desk.bus.subscribe(subjects.live_readings("d")) as live:
        desk.happen(1)
        desk.say(1.0)
        desk.recorder.state(key, desk.state("ON"))
        await desk.clock.advance(0.1)
        desk.recorder.state(key, desk.state("OFF"))
        await desk.clock.advance(1.0)
        entry = await desk.bus.get(subjects.STATE_BUCKET, key)
        assert entry
        assert decode(entry.data or b"", DeviceState).state == "OFF"
        desk.say(2.0)
        await desk.clock.advance(1.0)
        async with asyncio.timeout(PATIENCE_S):
            while decode((await anext(live)).data, Readings).values[0] != 2.0:
                pass
        desk.bus.full = False
        await desk.clock.advance(3.0)
    messages = await desk.messages()
    assert [message.sequence for message in messages] == list(range(1, len(messages) + 1))
    assert (messages[0].values[0], messages[-1].values[0]) == (1.0, 2.0)
    assert await desk.events() == ["1"]


async def test_an_event_reaches_its_listeners_at_once_while_older_ones_wait_for_the_disk(full_disk: Desk) -> None:
    desk = full_disk
    assert isinstance(desk.bus, FullDiskBus)
    desk.bus.full = True
    async with desk.running(), desk.bus.subscribe("events.>") as heard:
        for number in range(3):
            desk.happen(number)
            await desk.clock.advance(1.5)
        told = set[str]()
        while len(told) < 3:
            told.add(decode((await anext(heard)).data, Event).message)
        desk.bus.full = False
        await desk.clock.advance(3.0)
    assert await desk.events() == ["0", "1", "2"]


async def test_readings_that_found_no_room_in_the_queue_are_told_with_from_and_to(
    full_disk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "BEHIND", 5)
    desk, lost = full_disk, list[LostSpan]()
    desk.pump = ReadingsPump(desk.bus, desk.clock, desk.table, "boot", on_lost=lost.append)
    assert isinstance(desk.bus, FullDiskBus)
    desk.bus.full = True
    began_ns = desk.clock.now_ns()
    async with desk.running():
        for value in range(10):
            desk.say(float(value))
            await desk.clock.advance(1.0)
        desk.bus.full = False
        await desk.clock.advance(3.0)
    (span,) = lost
    assert began_ns <= span.from_ns <= span.to_ns <= began_ns + 10_000_000_000
    stored = [message.sequence for message in await desk.messages()]
    assert stored == list(range(span.messages + 1, span.messages + 1 + len(stored)))


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


async def test_every_change_of_a_point_that_wants_it_is_published_in_order() -> None:
    points = [Point(name="all", every_change=True, deadband=0.5), Point(name="newest")]
    table = PointTable("d", points, 0)
    for number in range(5):
        samples = [Sample(point="all", value=float(number)), Sample(point="newest", value=float(number))]
        table.take(samples, now_ns=number, monotonic=float(number))
    table.take([Sample(point="all", value=4.2)], now_ns=9, monotonic=9.0)  # within the deadband
    message = table.message(full=False, boot="b", sent_ns=9)
    assert message
    rows = list(zip(message.points, message.values, strict=True))
    assert rows == [("newest", 4.0), ("all", 0.0), ("all", 1.0), ("all", 2.0), ("all", 3.0), ("all", 4.0)]
    assert table.thinned == {"newest": 4}
    assert not table.waiting


async def test_a_full_message_comes_after_every_change_and_is_not_kept_waiting_by_them() -> None:
    table = PointTable("d", [Point(name="all", every_change=True)], 0)
    numbers = iter(range(100))

    def change() -> None:
        table.take([Sample(point="all", value=float(next(numbers)))], now_ns=1, monotonic=1.0)

    fulls: list[bool] = []
    values: list[object] = []
    for _ in range(6):
        change()
        change()
        message = table.message(full=True, boot="b", sent_ns=1)
        assert message
        fulls.append(message.full)
        values += [] if message.full else message.values
    assert fulls == [False, True] * 3
    last = table.message(full=False, boot="b", sent_ns=1)
    assert last
    assert [*values, *last.values] == [float(number) for number in range(12)]


async def test_too_many_changes_drop_the_oldest_and_count_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_points, "MOST_QUEUED", 10)
    monkeypatch.setattr(host_points, "MOST_ROWS", 4)
    table = PointTable("d", [Point(name="all", every_change=True)], 0)
    table.take([Sample(point="all", value=float(number)) for number in range(13)], now_ns=1, monotonic=1.0)
    found: list[object] = []
    while message := table.message(full=False, boot="b", sent_ns=1):
        assert len(message.values) <= 4
        found += message.values
    assert found == [float(number) for number in range(3, 13)]
    assert table.thinned == {"all": 3}
