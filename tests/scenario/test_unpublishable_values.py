"""A value that the bus cannot carry is BAD for its point alone; the host, its other devices and other points go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal
from unittest.mock import ANY

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher, append_event
from countingroom.core import subjects
from countingroom.core.errors import RequestError
from countingroom.core.messages import DeviceState, Event, EventKind, Link, Readings, decode, encode
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.payloads import sample
from countingroom.devices.drivers.mqtt.topics import routes
from countingroom.devices.host.host import AGAIN_S, DeviceHost
from countingroom.devices.host.points import PointTable
from countingroom.devices.host.publish import ReadingsPump
from countingroom.devices.host.quality import MOST_TEXT_BYTES
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.port import Sample, Sink
from countingroom.devices.registry import Hosted
from countingroom.devices.section import DeviceSection
from countingroom.testing.clock import FakeClock


class PlainSection(DeviceSection):
    driver: Literal["plain"] = "plain"


class ToldDriver:
    """A monitored device that sends what the test says."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = tuple(points)
        self.say: Sink = lambda samples: None

    def monitor(self, sink: Sink) -> None:
        self.say = sink

    async def connect(self) -> None:
        return

    async def read(self) -> Sequence[Sample]:
        return [Sample(point=point.name, value=1 if point.type is Type.INT else "a") for point in self.points]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        raise AssertionError

    async def close(self) -> None:
        return


class SmallBus(MemoryBus):
    """Refuses messages above a size, as a server does."""

    most = 1 << 30
    refused = 0

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        if len(data) > self.most:
            self.refused += 1
            raise RequestError("too big", source="bus", code="too_big")
        return await super().append(subject, data, message_id=message_id)

    async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
        if len(data) > self.most:
            self.refused += 1
            raise RequestError("too big", source="bus", code="too_big")
        return await super().put(bucket, key, data, expected=expected)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel the task, and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Bench:
    """A host with two devices: `odd`, which the test makes send anything, and `calm`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = SmallBus(self.clock)
        self.odd = ToldDriver(
            [Point(name="n", type=Type.INT), Point(name="s", type=Type.STRING), Point(name="i", type=Type.INT)]
        )
        self.calm = ToldDriver([Point(name="n", type=Type.INT)])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        await streams.prepare(self.bus)
        hosted = [
            Hosted(
                name=name,
                title=name,
                group="g",
                driver=driver,
                behaviour=PlainBehaviour(()),
                section=PlainSection.model_validate({}),
            )
            for name, driver in (("odd", self.odd), ("calm", self.calm))
        ]
        task = asyncio.create_task(DeviceHost(self.bus, self.clock, hosted).run())
        await self.clock.advance(1)
        try:
            yield task
        finally:
            task.cancel()
            await self.clock.advance(5)
            with suppress(asyncio.CancelledError):
                await task

    async def present(self, device: str) -> dict[str, Reading]:
        async with self.bus.replay(subjects.READINGS_STREAM, follow=False) as stored:
            found = [decode(one.data, Readings) async for one in stored]
        return {name: row for one in found if one.device == device for name, row in one.rows()}

    async def notes(self) -> list[str]:
        async with self.bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            events = [decode(one.data, Event) async for one in stored]
        return [one.message for one in events if one.kind is EventKind.NOTE]


ODD: list[tuple[str, Scalar]] = [
    ("n", 1e30),
    ("n", 10**400),
    ("n", 1 << 64),
    ("n", -(1 << 63) - 1),
    ("s", "x" * (MOST_TEXT_BYTES + 1)),
    ("s", "\ud800"),
    ("s", 10**5000),
]


async def test_a_value_that_cannot_be_carried_is_bad_and_told_once() -> None:
    bench = Bench()
    async with bench.running() as host:
        for name, value in ODD:
            bench.odd.say([Sample(point=name, value=value), Sample(point="i", value=7)])
            await bench.clock.advance(0.1)
            present = await bench.present("odd")
            assert (present[name].value, present[name].quality) == (None, Quality.BAD)
            assert present["i"].value == 7
            bench.odd.say([Sample(point="n", value=1), Sample(point="s", value="a"), Sample(point="i", value=8)])
            await bench.clock.advance(0.1)
            assert (await bench.present("odd"))[name].quality == Quality.GOOD
        bench.calm.say([Sample(point="n", value=5)])
        await bench.clock.advance(0.1)
        assert (await bench.present("calm"))["n"].value == 5
        assert not host.done()
    assert [note.partition(":")[0] for note in await bench.notes()] == ["odd.n is BAD", "odd.s is BAD"]


@pytest.mark.parametrize("value", [(1 << 64) - 1, -(1 << 63), 0])
async def test_a_whole_number_of_64_bits_is_carried(value: int) -> None:
    bench = Bench()
    async with bench.running():
        bench.odd.say([Sample(point="n", value=value)])
        await bench.clock.advance(0.1)
        assert (await bench.present("odd"))["n"].value == value


async def test_a_message_that_is_too_large_is_not_repeated_and_its_largest_text_is_bad() -> None:
    bench = Bench()
    async with bench.running():
        bench.bus.most = 2000
        bench.odd.say([Sample(point="s", value="x" * 5000), Sample(point="n", value=3)])
        await bench.clock.advance(1)
        present = await bench.present("odd")
        assert (present["s"].value, present["s"].quality) == (None, Quality.BAD)
        assert (present["n"].value, present["n"].quality) == (3, Quality.GOOD)
        assert bench.bus.refused <= 2
        refused = bench.bus.refused
        bench.odd.say([Sample(point="n", value=4)])
        await bench.clock.advance(10)
        assert (await bench.present("odd"))["n"].value == 4
        assert bench.bus.refused == refused
    assert any(note.startswith("odd.s is BAD: too big") for note in await bench.notes())


async def test_readings_that_can_never_be_carried_do_not_block_the_pump() -> None:
    clock = FakeClock()
    bus = SmallBus(clock)
    await streams.prepare(bus)
    bus.most = 10
    table = PointTable("d", [Point(name="p")], clock.now_ns())
    pump = ReadingsPump(bus, clock, table, "boot")
    running = asyncio.create_task(pump.run())
    pump.wake()
    await clock.advance(10)
    assert (pump.refused, bus.refused) == (1, 1)
    bus.most = 1 << 20
    table.take([Sample(point="p", value=2.0)], now_ns=clock.now_ns(), monotonic=clock.monotonic())
    pump.wake()
    await clock.advance(1)
    assert pump.position == 1
    await ended(running)


async def test_a_state_that_is_too_large_is_dropped_and_an_event_is_shortened() -> None:
    clock = FakeClock()
    bus = SmallBus(clock)
    await streams.prepare(bus)
    bus.most = 3000
    publisher = Publisher(bus, clock, "devices.d")
    publisher.state("device.d", DeviceState(device="d", state="x" * 5000, link=Link.CONNECTED, since_ns=0))
    event = Event(
        id="1", kind=EventKind.NOTE, time_ns=0, department="devices", source="d", message="m" * 5000, data={"a": 1}
    )
    publisher.event(event)
    running = asyncio.create_task(publisher.run())
    await clock.advance(1)
    await ended(running)
    assert bus.refused == 2
    async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
        (kept,) = [decode(one.data, Event) async for one in stored]
    assert kept.id == "1"
    assert kept.message.startswith("mmm")
    assert kept.data == {}


async def test_an_event_with_a_text_that_cannot_be_encoded_is_stored_without_it() -> None:
    bus = MemoryBus(FakeClock())
    await streams.prepare(bus)
    event = Event(
        id="1", kind=EventKind.NOTE, time_ns=0, department="a", source="b", message="\ud800", data={"x": "\ud800"}
    )
    await append_event(bus, event)
    async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
        assert [decode(one.data, Event).message[0] async for one in stored] == ["?"]


async def test_a_mistake_in_the_code_for_one_device_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    async with bench.running() as host:
        take = PointTable.take

        def broken(table: PointTable, samples: Sequence[Sample], *, now_ns: int, monotonic: float) -> set[str]:
            if table.device == "odd":
                raise IndexError("a mistake")
            return take(table, samples, now_ns=now_ns, monotonic=monotonic)

        monkeypatch.setattr(PointTable, "age", lambda table, **_: broken(table, [], now_ns=0, monotonic=0.0))
        await bench.clock.advance(1)
        bench.calm.say([Sample(point="n", value=6)])
        await bench.clock.advance(0.5)
        assert not host.done()
        assert (await bench.present("calm"))["n"].value == 6
        assert (await bench.present("odd"))["n"].quality == Quality.STALE
        entry = await bench.bus.get(subjects.STATE_BUCKET, "device.odd")
        assert entry and entry.data
        assert "a mistake" in str(decode(entry.data, DeviceState).cause)
        monkeypatch.undo()
        await bench.clock.advance(2 * AGAIN_S)
        assert (await bench.present("odd"))["n"].quality == Quality.GOOD


# MQTT: what a board sends.

PAYLOADS = [
    b"1e30",
    b"9" * 400,
    b"NaN",
    b"-inf",
    b"\xff\xfe\x00",
    b"[" * 60_000,
    b"1" * 9_000_000,
    b'{"a":' * 10_000,
    b'"\\ud800"',
    b"",
]


@pytest.mark.parametrize("kind", ["int", "float", "string", "bool"])
@pytest.mark.parametrize("field", ["", "a"])
def test_any_payload_becomes_a_reading_that_can_be_published(kind: str, field: str) -> None:
    section = MqttSensorsSection.model_validate(
        {"driver": "mqtt", "sensors": {"b": ""}, "values": {"v": {"topic": "{sensor}/v", "type": kind, "field": field}}}
    )
    (route,) = routes(section)
    table = PointTable("d", [route.point], 0)
    for payload in [*PAYLOADS, *(b'{"a": ' + payload + b"}" for payload in PAYLOADS)]:
        given = sample(route, payload, retained=True, now_ns=0)
        assert given is not None
        table.take([given], now_ns=1, monotonic=0.0)
        message = table.message(full=True, boot="b", sent_ns=0)
        assert message is not None
        assert len(encode(message)) < 2 * MOST_TEXT_BYTES


@pytest.mark.parametrize(
    ("point", "value", "reason"),
    [
        ("n", "21,5", "'21,5' is no whole number"),
        ("n", 3.9, "3.9 is no whole number"),
        ("i", float("nan"), "nan is no whole number"),
        ("s", "x" * (MOST_TEXT_BYTES + 1), f"the text has {MOST_TEXT_BYTES + 1} bytes"),
        ("n", "y" * 70_000, f"'{'y' * 60}'… is no whole number"),
        ("n", "\ud800", "is no whole number"),
        ("n", 10**400, "the whole number has 1329 bits; at most 64 are published"),
    ],
)
async def test_a_bad_value_says_why_in_its_reading_and_in_an_event(point: str, value: Scalar, reason: str) -> None:
    bench = Bench()
    async with bench.running():
        bench.odd.say([Sample(point=point, value=value)])
        await bench.clock.advance(0.1)
        assert reason in (await bench.present("odd"))[point].reason
        (note,) = await bench.notes()
        assert note.startswith(f"odd.{point} is BAD: ")
        assert reason in note
        good: Scalar = "a" if point == "s" else 1
        bench.odd.say([Sample(point=point, value=good)])
        await bench.clock.advance(0.1)
        assert (await bench.present("odd"))[point] == Reading(
            value=good, quality=Quality.GOOD, device_ns=ANY, received_ns=ANY, reason=""
        )


async def test_each_change_of_a_reason_is_told_once_but_not_in_a_flood() -> None:
    bench = Bench()
    async with bench.running():
        for word in ("red", "red", "green", "blue", "blue"):
            bench.odd.say([Sample(point="n", value=word)])
            await bench.clock.advance(0.1)
        assert [note.rpartition(": ")[2] for note in await bench.notes()] == ["'red' is no whole number"]
        assert (await bench.present("odd"))["n"].reason == "'blue' is no whole number"
        await bench.clock.advance(60)
        assert [note.rpartition(": ")[2] for note in await bench.notes()] == [
            "'red' is no whole number",
            "'blue' is no whole number",
        ]


async def test_what_was_told_while_a_device_connected_is_not_told_again_when_it_is_connected() -> None:
    """A monitored device may send values before its `connect` ends."""
    table = PointTable("d", [Point(name="n", type=Type.INT)], 0)
    bad = [Sample(point="n", value="red")]
    table.take(bad, now_ns=1, monotonic=0.0)
    assert len(table.take_refusals(monotonic=0.0)) == 1
    table.tell_again()
    table.take(bad, now_ns=2, monotonic=1.0)
    assert table.take_refusals(monotonic=1.0) == []
    table.lose(now_ns=3)
    table.tell_again()
    table.take(bad, now_ns=4, monotonic=2.0)
    assert len(table.take_refusals(monotonic=2.0)) == 1, "it is a new connection"


async def test_points_that_are_bad_together_are_one_event() -> None:
    clock = FakeClock()
    table = PointTable("d", [Point(name=f"p{number}") for number in range(20)], clock.now_ns())
    table.take([Sample(point=f"p{number}", value="no") for number in range(20)], now_ns=1, monotonic=0.0)
    assert len(table.take_refusals(monotonic=0.0)) == 20
    assert table.take_refusals(monotonic=100.0) == []
