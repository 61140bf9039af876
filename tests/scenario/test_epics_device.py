"""An EPICS device in its host, before a real IOC: what is missing or in alarm is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Catalogue, DeviceState, Event, EventKind, Readings, decode
from countingroom.core.points import Limits, Point
from countingroom.core.values import Quality, Reading
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.resources import SharedResources
from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord
from tests.patience import PATIENCE_S


class Bench:
    """An IOC, a host with one device, and the bus."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.bus = MemoryBus(self.clock)
        self.ioc = Ioc(
            [
                IocRecord(name="x:a", value=1.5),
                IocRecord(name="x:b", value=2.5, unit="mbar", precision=4, fields={"HIHI": 10.0, "HHSV": "MAJOR"}),
                IocRecord(name="x:n", kind="int", value=2, unit="rpm", fields={"HIGH": 7, "HSV": "MINOR"}),
                IocRecord(name="x:text", kind="string", value="10"),
                IocRecord(name="x:mode", kind="enum", value=1, choices=("Off", "On")),
            ],
            lambda name, value: None,
        )

    async def until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await true():
                await asyncio.sleep(0.02)

    async def present(self) -> dict[str, Reading]:
        async with self.bus.replay(subjects.READINGS_STREAM, follow=False) as stored:
            return {name: row async for one in stored for name, row in decode(one.data, Readings).rows()}

    async def events(self, kind: EventKind) -> list[Event]:
        async with self.bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            events = [decode(one.data, Event) async for one in stored]
        return [event for event in events if event.kind is kind]

    async def state(self) -> DeviceState:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.device_key("lab"))
        assert entry
        assert entry.data
        return decode(entry.data, DeviceState)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await streams.prepare(made.bus)
    await made.ioc.start()
    resources = SharedResources()
    given = {
        "driver": "epics",
        "prefix": "x:",
        "address_list": [made.ioc.address],
        "timeout": 0.5,
        "poll": 0.2,
        "values": {
            "a": {"pv": "a", "unit": "V"},
            "typo": {"pv": "tpyo"},
            "b": {"pv": "b"},
            "n": {"pv": "n", "type": "int"},
            "mode": {"pv": "mode", "type": "int"},
            "text": {"pv": "text"},
        },
    }
    hosted = build("lab", EpicsSection.model_validate(given), resources)
    host = asyncio.create_task(DeviceHost(made.bus.client(), made.clock, [hosted], resources=resources).run())
    yield made
    host.cancel()
    with suppress(asyncio.CancelledError):
        await host
    await made.ioc.stop()


async def test_a_variable_that_is_not_there_is_told_and_its_device_is_not_plainly_connected(bench: Bench) -> None:
    async def incomplete() -> bool:
        with suppress(AssertionError):
            return (await bench.state()).state == "INCOMPLETE"
        return False

    await bench.until(incomplete)
    state = await bench.state()
    assert state.cause
    assert state.cause.message == "1 of 6 process variables do not answer: typo"

    async def told() -> bool:
        return "typo" in (await bench.present()) and bool(await bench.events(EventKind.NOTE))

    await bench.until(told)
    reading = (await bench.present())["typo"]
    assert (reading.quality, reading.reason) == (Quality.BAD, "no server answers for x:tpyo")
    assert "lab.typo is BAD: no server answers for x:tpyo" in [
        one.message for one in await bench.events(EventKind.NOTE)
    ]


async def test_what_the_table_does_not_say_is_what_the_ioc_says(bench: Bench) -> None:
    points: dict[str, Point] = {}

    async def described() -> bool:
        entry = await bench.bus.get(subjects.STATE_BUCKET, subjects.catalogue_key("lab"))
        if entry and entry.data:
            points.update({point.name: point for point in decode(entry.data, Catalogue).points})
        return bool(points) and points["b"].unit == "mbar"

    await bench.until(described)
    assert (points["b"].precision, points["b"].limits) == (4, Limits(alarm_high=10.0))
    assert (points["n"].unit, points["n"].limits) == ("rpm", Limits(warning_high=7.0))
    assert (points["mode"].codes, points["mode"].choices) == ({"0": "Off", "1": "On"}, (0, 1))
    assert points["a"].unit == "V"


async def test_an_alarm_of_the_ioc_is_an_alarm_here_with_its_name(bench: Bench) -> None:
    async def there() -> bool:
        return (await bench.present()).get("a", Reading(value=0, quality=Quality.BAD, device_ns=0, received_ns=0)).value

    await bench.until(there)
    bench.ioc.set({"x:a": 8.0}, severity=2)

    async def alarmed() -> bool:
        return (await bench.present())["a"].alarm == 2

    await bench.until(alarmed)
    reading = (await bench.present())["a"]
    assert (reading.value, reading.quality, reading.reason) == (
        8.0,
        Quality.UNCERTAIN,
        "STATE alarm of the IOC (major)",
    )
    bench.ioc.set({"x:a": 1.0})

    async def over() -> bool:
        return (await bench.present())["a"].alarm == 0

    await bench.until(over)
    reading = (await bench.present())["a"]
    assert (reading.quality, reading.reason) == (Quality.GOOD, "")


async def test_a_text_that_is_no_number_never_leaves_an_old_number_good(bench: Bench) -> None:
    nothing = Reading(value=None, quality=Quality.BAD, device_ns=0, received_ns=0)

    async def text() -> Reading:
        return (await bench.present()).get("text", nothing)

    async def is_ten() -> bool:
        return (await text()).value == 10.0

    async def is_bad() -> bool:
        return (await text()).quality is Quality.BAD

    async def is_twenty() -> bool:
        return (await text()).value == 20.0

    async def is_disconnected() -> bool:
        return (await bench.state()).state == "DISCONNECTED" and (await text()).quality is Quality.STALE

    await bench.until(is_ten)
    bench.ioc.set({"x:text": "n/a"})
    await bench.until(is_bad)
    assert (await text()).reason == "the IOC sends the text 'n/a', which is no number"
    bench.ioc.set({"x:text": "20"})
    await bench.until(is_twenty)
    assert (await text()).quality is Quality.GOOD
    await bench.ioc.stop()
    await bench.until(is_disconnected)
    assert (await text()).value == 20.0
