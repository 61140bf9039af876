"""A publisher stores the latest value of a key, or deletes the key."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.errors import LinkError, RequestError
from countingroom.core.messages import DeviceState, Event, EventKind, Link, decode
from countingroom.testing.clock import FakeClock

ON = DeviceState(device="caen", state="ON", link=Link.CONNECTED, since_ns=1)


async def test_a_deleted_key_is_gone_and_comes_back_with_its_next_state() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await bus.ensure_bucket("state")
    publisher = Publisher(bus, clock, "test")
    publisher.delete("device.caen")  # it has never been there
    await publisher.flush()
    publisher.state("device.caen", ON)
    await publisher.flush()
    stored = await bus.get("state", "device.caen")
    assert stored is not None
    assert stored.data is not None
    publisher.delete("device.caen")
    await publisher.flush()
    gone = await bus.get("state", "device.caen")
    assert gone is None or gone.data is None


async def test_of_a_state_and_its_deletion_the_later_one_counts() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await bus.ensure_bucket("state")
    publisher = Publisher(bus, clock, "test")
    publisher.delete("device.caen")
    publisher.state("device.caen", ON)
    await publisher.flush()
    stored = await bus.get("state", "device.caen")
    assert stored is not None
    assert stored.data is not None


async def test_a_flush_ends_although_further_states_come_meanwhile() -> None:
    clock = FakeClock()
    publisher: Publisher

    class Busy(MemoryBus):
        """Its owner has a new state each time that one is stored."""

        count = 0

        async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
            self.count += 1
            publisher.state(f"device.d{self.count}", ON)
            return await super().put(bucket, key, data, expected=expected)

    bus = Busy(clock)
    await bus.ensure_bucket("state")
    publisher = Publisher(bus, clock, "test")
    for number in range(300):
        publisher.state(f"channel.caen.{number}", ON)
    await publisher.flush()
    assert bus.count == 300


async def test_what_the_bus_did_not_take_of_many_states_is_repeated() -> None:
    clock = FakeClock()

    class Refusing(MemoryBus):
        refused: tuple[str, ...] = ("device.d1", "device.d3")

        async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
            if key in self.refused:
                raise LinkError("no answer", source="bus", code="no_answer")
            return await super().put(bucket, key, data, expected=expected)

    bus = Refusing(clock)
    await bus.ensure_bucket("state")
    publisher = Publisher(bus, clock, "test")
    for number in range(5):
        publisher.state(f"device.d{number}", ON)
    flushing = asyncio.create_task(publisher.flush())
    await clock.advance(1)
    stored = [number for number in range(5) if await bus.get("state", f"device.d{number}")]
    assert stored == [0, 2, 4]
    bus.refused = ()
    await clock.advance(1)
    await flushing
    assert all([await bus.get("state", f"device.d{number}") for number in range(5)])


async def test_an_owner_waits_for_room_but_not_for_a_bus_that_is_away() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await prepare(bus, max_bytes=1 << 24)
    publisher = Publisher(bus, clock, "test")
    publishing = asyncio.create_task(publisher.run())
    for number in range(20):
        publisher.state(f"device.d{number}", ON)
        publisher.event(Event(id=f"e{number}", kind=EventKind.NOTE, time_ns=1, department="t", source="s", message="m"))
    await publisher.room(0)
    assert await bus.get("state", "device.d19")
    bus.cut()
    await clock.advance(1)
    publisher.event(Event(id="last", kind=EventKind.NOTE, time_ns=1, department="t", source="s", message="m"))
    waiting = asyncio.create_task(publisher.room(0))
    await clock.advance(1)
    assert waiting.done()
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing


async def test_among_many_the_states_and_events_that_are_too_large_delay_no_others() -> None:
    clock = FakeClock()
    most = 3000

    class Small(MemoryBus):
        async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
            check(data)
            return await super().append(subject, data, message_id=message_id)

        async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
            check(data)
            return await super().put(bucket, key, data, expected=expected)

    def check(data: bytes) -> None:
        if len(data) > most:
            raise RequestError("too big", source="bus", code="too_big")

    bus = Small(clock)
    await prepare(bus, max_bytes=1 << 24)
    publisher = Publisher(bus, clock, "devices.d")
    words = {"a": "ON", "b": "x" * 5000, "c": "\ud800", "d": "ON"}
    for key, word in words.items():
        publisher.state(f"device.{key}", DeviceState(device="d", state=word, link=Link.CONNECTED, since_ns=0))
        publisher.event(
            Event(id=key, kind=EventKind.NOTE, time_ns=0, department="devices", source="d", message=word, data={"n": 1})
        )
    running = asyncio.create_task(publisher.run())
    await clock.advance(1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [key for key in words if await bus.get(subjects.STATE_BUCKET, f"device.{key}")] == ["a", "d"]
    async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
        kept = {event.id: event.data for event in [decode(one.data, Event) async for one in stored]}
    assert kept == {"a": {"n": 1}, "b": {}, "c": {}, "d": {"n": 1}}
