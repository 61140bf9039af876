"""A value of a device that sends changes only is GOOD while it is proven, and a slow write is no lost link."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.bus import streams
from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.messages import EventKind, Link
from countingroom.core.values import Quality
from countingroom.devices.port import Sample
from countingroom.testing.fake_device import FakeDriver, FakeMonitoringDriver, FakeProvingDriver
from tests.scenario.test_device_host import Room


@pytest.fixture
async def room() -> Room:
    made = Room()
    await streams.prepare(made.bus)
    return made


async def test_a_constant_value_stays_good_only_while_the_device_answers(room: Room) -> None:
    async with room.host(driver=FakeProvingDriver):
        await room.clock.advance(60.0)
        assert {reading.quality for reading in (await room.present()).values()} == {Quality.GOOD}
        room.supply.complaint = "not now"
        await room.clock.advance(8.0)
        assert (await room.present())["temperature"].quality is Quality.GOOD
        await room.clock.advance(4.0)
        reading = (await room.present())["temperature"]
        assert (reading.value, reading.quality) == (20.0, Quality.STALE)
        room.supply.complaint = ""
        await room.clock.advance(2.0)
        assert {reading.quality for reading in (await room.present()).values()} == {Quality.GOOD}


async def test_a_slow_write_holds_up_no_other_and_loses_no_link(room: Room) -> None:
    async with room.host(driver=FakeProvingDriver, timeout=0.1):
        slow = room.supply.slow["a.v_set"] = asyncio.Event()
        await room.set("a.v_set", 5.0)
        await room.set("b.v_set", 6.0)
        await room.clock.advance(0.1)
        assert room.supply.writes == [("b.v_set", 6.0)]
        assert (await room.outcome()).kind is EventKind.DONE
        await room.clock.advance(3.0)
        assert (await room.present())["temperature"].quality is Quality.GOOD
        slow.set()
        await room.clock.advance(0.1)
        assert room.supply.writes[-1] == ("a.v_set", 5.0)
        assert [event.kind for event in await room.events(EventKind.DONE, EventKind.FAILED)] == [EventKind.DONE] * 2
        assert len(await room.events(EventKind.LINK)) == 1


@pytest.mark.parametrize("failure", [LinkError("no answer to a put"), DeviceError("refused")])
async def test_a_failed_write_fails_that_command_alone(room: Room, failure: Exception) -> None:
    class Refusing(FakeProvingDriver):
        async def write(self, point: str, value: float | int | str | bool) -> None:
            raise failure

    async with room.host(driver=Refusing):
        await room.set("a.v_set", 5.0)
        await room.clock.advance(0.1)
        outcome = await room.outcome()
        assert outcome.kind is EventKind.FAILED
        assert outcome.cause
        assert str(failure.args[0]) in outcome.cause.message
        assert (await room.present())["temperature"].quality is Quality.GOOD
        assert len(await room.events(EventKind.LINK)) == 1


async def test_a_fault_in_the_driver_is_named(room: Room) -> None:
    class Faulty(FakeProvingDriver):
        async def prove(self) -> set[str]:
            raise ZeroDivisionError("in prove")

    async with room.host(driver=Faulty, reconnect_first=30.0):
        await room.clock.advance(2.0)
        cause = (await room.state()).cause
        assert cause
        assert "ZeroDivisionError: in prove" in cause.message


async def test_a_write_under_way_when_the_link_is_lost_ends_as_not_known(room: Room) -> None:
    async with room.host(driver=FakeProvingDriver, reconnect_first=0.1):
        room.supply.slow["a.v_set"] = asyncio.Event()
        await room.set("a.v_set", 5.0)
        await room.give("reconnect")
        await room.clock.advance(1.0)
        failed = await room.events(EventKind.FAILED)
        assert [event.cause.code for event in failed if event.cause] == ["unknown"]
        assert room.supply.writes == []


@pytest.mark.parametrize("driver", [FakeDriver, FakeMonitoringDriver])
async def test_writes_that_wait_are_not_kept_over_a_lost_link(room: Room, driver: type[FakeDriver]) -> None:
    async with room.host(driver=driver, reconnect_first=0.5, timeout=0.1):
        room.supply.hanging = True
        await room.set("a.v_set", 5.0)
        await room.set("b.v_set", 6.0)
        await room.clock.advance(1.6)  # the first is given up, and the link with it; the second was never sent
        room.supply.hanging = False
        failed = await room.events(EventKind.FAILED)
        assert [event.cause.code for event in failed if event.cause] == ["timeout", "link_lost"]
        await room.clock.advance(10.0)
        assert (await room.state()).link is Link.CONNECTED
        assert room.supply.writes == []


async def test_changes_that_are_thinned_are_counted_and_told_now_and_then(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver, points={"b.*": {"every_change": True}}) as bus:
        bus.cut()
        for number in range(1, 101):
            room.supply.put("a.v_mon", float(number))
            room.supply.put("b.v_mon", float(number))
        await room.clock.advance(1.0)
        bus.mend()
        await room.clock.advance(20.0)
        (note,) = [one for one in await room.events(EventKind.NOTE) if "not published" in one.message]
        assert note.data == {"changes": 99, "in_the_client": 0}
        assert "a.v_mon" in note.message
        rows = [row for message in await room.messages() for row in message.rows() if not message.full]
        assert [reading.value for name, reading in rows if name == "b.v_mon"][-100:] == [
            float(number) for number in range(1, 101)
        ]


async def test_changes_that_were_thinned_last_are_told_at_the_end(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver) as bus:
        bus.cut()
        for number in range(1, 11):
            room.supply.put("a.v_mon", float(number))
        await room.clock.advance(1.0)
        bus.mend()
        await room.clock.advance(2.0)
        assert not [one for one in await room.events(EventKind.NOTE) if "not published" in one.message]
    (note,) = [one for one in await room.events(EventKind.NOTE) if "not published" in one.message]
    assert note.data == {"changes": 9, "in_the_client": 0}


async def test_many_points_that_become_bad_together_are_one_event(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver):
        names = [point.name for point in room.supply.points]
        (sink,) = room.supply.told
        sink([Sample(point=name, value="n/a") for name in names])
        await room.clock.advance(1.0)
        (note,) = await room.events(EventKind.NOTE)
        assert note.message.startswith(f"{len(names)} points of supply are BAD: temperature, a.v_set, ")
        assert note.data["a.v_mon"] == "'n/a' is no number"
