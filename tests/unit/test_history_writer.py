"""The writer loses nothing, doubles nothing and says once what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import Event, Readings, decode, encode
from countingroom.history.columns import Columns
from countingroom.history.notes import Notes
from countingroom.history.port import Position
from countingroom.history.writer import NAME, Writer
from countingroom.testing.clock import FakeClock
from tests.memory_store import MemoryStore
from tests.patience import PATIENCE_S


class FullDisk(MemoryStore):
    """Refuses some writes."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def append(self, columns: Columns, position: Position) -> None:
        if self.refusals:
            self.refusals -= 1
            raise LinkError("no room", code="store_failed")
        super().append(columns, position)


def readings(number: int, *, boot: str = "b", at: int | None = None) -> Readings:
    time = (at or 1_700_000_000) * 1_000_000_000 + number
    return Readings(
        device="caen",
        boot=boot,
        sequence=number,
        full=False,
        sent_ns=time,
        points=["v"],
        values=[float(number)],
        qualities=[0],
        device_ns=[time],
        received_ns=[time],
    )


async def send(bus: MemoryBus, *numbers: int, boot: str = "b") -> None:
    for number in numbers:
        await bus.append(subjects.readings("caen", full=False), encode(readings(number, boot=boot)))


@asynccontextmanager
async def writing(bus: MemoryBus, clock: FakeClock, store: MemoryStore) -> AsyncGenerator[None]:
    with ThreadPoolExecutor(1) as threads:
        notes = Notes(bus, clock)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(notes.run()),
                group.create_task(Writer(bus, clock, store, notes, threads, flush_s=0.5).run()),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()


async def reach(clock: FakeClock, store: MemoryStore, sequence: int) -> None:
    """Let time pass until the store is that far."""
    async with asyncio.timeout(PATIENCE_S):
        while store.position().sequence != sequence:
            await clock.advance(0.6)
            await asyncio.sleep(0.001)


def values(store: MemoryStore) -> list[float]:
    return store.samples(("caen.v",), 0, 2**62, limit=100_000).number.tolist()


async def notes(bus: MemoryBus) -> list[str]:
    async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
        return [decode(message.data, Event).message async for message in stored]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def bus(clock: FakeClock) -> MemoryBus:
    made = MemoryBus(clock)
    await streams.prepare(made)
    return made


async def test_what_the_bus_has_the_store_gets(bus: MemoryBus, clock: FakeClock) -> None:
    store = MemoryStore()
    async with writing(bus, clock, store):
        await send(bus, *range(1, 2000))
        await reach(clock, store, 1999)
    assert values(store) == list(map(float, range(1, 2000)))
    assert await notes(bus) == []


async def test_many_messages_are_one_transaction_up_to_a_limit_of_bytes(
    bus: MemoryBus, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[int] = []

    class Counting(MemoryStore):
        def append(self, columns: Columns, position: Position) -> None:
            reached.append(position.sequence)
            super().append(columns, position)

    store = Counting()
    await send(bus, *range(1, 2000))
    async with writing(bus, clock, store):
        await reach(clock, store, 1999)
    assert reached == [1999]
    reached.clear()
    monkeypatch.setattr("countingroom.history.writer.MOST_BYTES", 100_000)
    await send(bus, *range(2000, 4000))
    async with writing(bus, clock, store):
        await reach(clock, store, 3999)
    assert reached == [1999 + 1024, 3999]
    assert values(store) == list(map(float, range(1, 4000)))


async def test_a_store_without_room_loses_nothing_and_says_so_once(bus: MemoryBus, clock: FakeClock) -> None:
    store = FullDisk(refusals=5)
    async with writing(bus, clock, store):
        await send(bus, 1, 2, 3)
        await reach(clock, store, 3)
        await clock.advance(1)
    assert values(store) == [1.0, 2.0, 3.0]
    assert await notes(bus) == ["the history cannot be written now", "the history is written again"]


async def test_what_was_stored_but_not_acknowledged_is_not_doubled(bus: MemoryBus, clock: FakeClock) -> None:
    store = MemoryStore()
    async with writing(bus, clock, store):
        await send(bus, 1, 2, 3)
        await reach(clock, store, 3)
    bus.server.acknowledged[(subjects.READINGS_STREAM, NAME)] = 1
    async with writing(bus, clock, store):
        await send(bus, 4)
        await reach(clock, store, 4)
    assert values(store) == [1.0, 2.0, 3.0, 4.0]


async def test_a_store_older_than_the_acknowledgement_is_filled_from_the_stream(
    bus: MemoryBus, clock: FakeClock
) -> None:
    first = MemoryStore()
    async with writing(bus, clock, first):
        await send(bus, *range(1, 1001))
        await reach(clock, first, 1000)
        await clock.advance(1)
    restored = MemoryStore()
    async with writing(bus, clock, restored):
        await send(bus, 1001)
        await reach(clock, restored, 1001)
    assert values(restored) == list(map(float, range(1, 1002)))


async def test_a_stream_that_began_anew_is_not_taken_for_the_old_one(clock: FakeClock) -> None:
    store = MemoryStore()
    for life in ("one", "two"):
        fresh = MemoryBus(clock)
        await streams.prepare(fresh)
        async with writing(fresh, clock, store):
            await clock.advance(10)
            await send(fresh, 1, 2, boot=life)
            async with asyncio.timeout(PATIENCE_S):
                while len(values(store)) < (2 if life == "one" else 4):
                    await clock.advance(0.6)
                    await asyncio.sleep(0.001)
    assert values(store) == [1.0, 1.0, 2.0, 2.0]


async def test_a_hole_in_the_numbers_is_told(bus: MemoryBus, clock: FakeClock) -> None:
    store = MemoryStore()
    async with writing(bus, clock, store):
        await send(bus, 1, 2, 5)
        await send(bus, 1, 2, boot="c")
        await send(bus, 3, boot="d")
        await reach(clock, store, 6)
        await clock.advance(1)
    assert await notes(bus) == [
        "2 messages of caen never came (numbers 3 to 4)",
        "2 messages of caen never came (numbers 1 to 2)",
    ]


async def test_a_message_that_comes_twice_is_stored_once(bus: MemoryBus, clock: FakeClock) -> None:
    store = MemoryStore()
    async with writing(bus, clock, store):
        await send(bus, 1, 2, 2, 1, 3)
        await reach(clock, store, 5)
    assert values(store) == [1.0, 2.0, 3.0]


async def test_what_is_no_readings_is_passed_over_and_told(bus: MemoryBus, clock: FakeClock) -> None:
    store = MemoryStore()
    async with writing(bus, clock, store):
        await bus.append("readings.delta.caen", b"hello")
        await send(bus, 1)
        await reach(clock, store, 2)
        await clock.advance(1)
    assert values(store) == [1.0]
    assert await notes(bus) == []
    assert [one.subject for one in bus.dead_letters.take(9)] == ["readings.delta.caen"]


async def test_a_link_that_comes_back_brings_what_was_missed(bus: MemoryBus, clock: FakeClock) -> None:
    store, device = MemoryStore(), bus.client()
    async with writing(bus, clock, store):
        await send(device, 1)
        await reach(clock, store, 1)
        bus.cut()
        await send(device, 2, 3)
        await clock.advance(5)
        assert values(store) == [1.0]
        bus.mend()
        await reach(clock, store, 3)
    assert values(store) == [1.0, 2.0, 3.0]
