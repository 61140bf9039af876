"""What the device host promises, seen from the bus, with time standing still."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from countingroom.bus import command_server, streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Current, Entry, Stale
from countingroom.core import subjects
from countingroom.core.errors import DeviceError
from countingroom.core.messages import (
    Catalogue,
    Command,
    DeviceState,
    Event,
    EventKind,
    Link,
    Presence,
    Readings,
    Reply,
    decode,
    encode,
)
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.port import Driver, Sample
from countingroom.devices.registry import Hosted
from countingroom.devices.section import DeviceSection, PointOverride
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_device import FakeBehaviour, FakeDriver, FakeMonitoringDriver, FakeSupply
from tests.scenario.hosting import running, sent_readings


class FakeSection(DeviceSection):
    driver: Literal["fake"] = "fake"


class Room:
    """A bus, a clock, a supply and the hosts that look after it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.supply = FakeSupply()
        self.ids = itertools.count(1)

    @asynccontextmanager
    async def host(
        self,
        *,
        driver: Callable[[FakeSupply], Driver] = FakeDriver,
        settings: tuple[Write, ...] = (),
        instance: str = "main",
        bus: MemoryBus | None = None,
        behaviour: type[FakeBehaviour] = FakeBehaviour,
        **section: object,
    ) -> AsyncGenerator[MemoryBus]:
        own = bus or self.bus.client()
        hosted = Hosted(
            name="supply",
            title="Supply",
            group="Power supplies",
            driver=driver(self.supply),
            behaviour=behaviour(settings),
            section=FakeSection.model_validate(section),
        )
        host = DeviceHost(own, self.clock, [hosted], instance=instance)
        async with running(host, self.clock):
            yield own

    async def messages(self) -> list[Readings]:
        return await sent_readings(self.bus)

    async def present(self) -> dict[str, Reading]:
        """What a listener knows: all messages one on top of the other."""
        return {name: reading for message in await self.messages() for name, reading in message.rows()}

    async def events(self, *kinds: EventKind) -> list[Event]:
        async with self.bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            events = [decode(one.data, Event) async for one in stored]
        return [event for event in events if not kinds or event.kind in kinds]

    async def state(self, channel: str = "") -> DeviceState:
        key = subjects.channel_key("supply", channel) if channel else subjects.device_key("supply")
        entry = await self.bus.get(subjects.STATE_BUCKET, key)
        assert entry
        assert entry.data
        return decode(entry.data, DeviceState)

    async def give(self, action: str, channel: str = "", **more: Any) -> Reply:
        command = Command(
            **{  # type: ignore[arg-type]
                "id": f"c{next(self.ids)}",
                "action": action,
                "channel": channel,
                "issued_ns": self.clock.now_ns(),
                "deadline_ns": self.clock.now_ns() + 10**10,
                **more,
            }
        )
        answer = asyncio.create_task(
            self.bus.request(subjects.command("ann", "devices", "supply"), encode(command), timeout_s=5)
        )
        await self.clock.advance(0)
        return decode((await answer).data, Reply)

    async def set(self, point: str, value: Scalar, **more: Any) -> Reply:
        return await self.give("set", arguments={"point": point, "value": value}, **more)

    async def outcome(self) -> Event:
        return (await self.events(EventKind.DONE, EventKind.FAILED))[-1]


async def present_keys(entries: AsyncIterator[Entry | Current | Stale]) -> AsyncIterator[Entry]:
    """Those of the snapshot that hold something."""
    async for entry in entries:
        if isinstance(entry, Current):
            return
        if isinstance(entry, Entry) and entry.data is not None:
            yield entry


@pytest.fixture
async def room() -> Room:
    made = Room()
    await streams.prepare(made.bus)
    return made


async def test_a_polled_device_is_live_at_once_and_publishes_what_changes(room: Room) -> None:
    async with room.host():
        assert (await room.state()).state == "OFF"
        assert (await room.present())["temperature"].value == 20.0
        before = len(await room.messages())
        room.supply.values["temperature"] = 21.0
        room.supply.values["a.v_mon"] = 0.005
        await room.clock.advance(1.0)
        (delta,) = (await room.messages())[before:]
        assert (delta.full, delta.points, delta.values) == (False, ["temperature"], [21.0])
        await room.clock.advance(5.0)
        assert len(await room.messages()) == before + 1


async def test_nothing_is_written_to_a_device_by_starting_reading_and_stopping(room: Room) -> None:
    async with room.host():
        await room.clock.advance(5.0)
    assert room.supply.writes == []


async def test_the_catalogue_says_what_the_device_is(room: Room) -> None:
    async with room.host(points={"*.v_mon": {"label": "Voltage", "deadband": 0.2}}):
        entry = await room.bus.get(subjects.STATE_BUCKET, subjects.catalogue_key("supply"))
        assert entry
        assert entry.data
        catalogue = decode(entry.data, Catalogue)
        assert (catalogue.title, catalogue.driver, catalogue.channels) == ("Supply", "fake", ("a", "b", "spare"))
        assert {spec.name for spec in catalogue.commands} >= {"switch_on", "ramp", "reconnect", "refresh"}
        point = next(point for point in catalogue.points if point.name == "a.v_mon")
        assert (point.label, point.deadband) == ("Voltage", 0.2)


async def test_a_full_message_comes_every_minute(room: Room) -> None:
    async with room.host():
        before = sum(message.full for message in await room.messages())
        await room.clock.advance(121.0)
        assert sum(message.full for message in await room.messages()) == before + 2


async def test_messages_of_one_life_are_numbered_without_holes(room: Room) -> None:
    async with room.host() as bus:
        for number in range(10):
            room.supply.values["a.v_mon"] = float(number)
            await room.clock.advance(1.0)
            if number == 3:
                bus.cut()
            if number == 6:
                bus.mend()
    numbers = [message.sequence for message in await room.messages()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_device_that_is_off_at_start_is_disconnected_and_joins_when_it_appears(room: Room) -> None:
    room.supply.present = False
    async with room.host():
        state = await room.state()
        assert (state.state, state.link) == ("DISCONNECTED", Link.DISCONNECTED)
        assert state.cause
        assert state.cause.message == "the supply does not answer"
        assert (await room.state("a")).state == "DISCONNECTED"
        assert {reading.quality for reading in (await room.present()).values()} == {Quality.BAD}
        room.supply.present = True
        await room.clock.advance(2.0)
        assert (await room.state()).state == "OFF"
        assert (await room.present())["a.v_mon"].quality == Quality.GOOD


async def test_a_lost_link_is_published_at_once_with_its_reason_and_keeps_the_last_values(room: Room) -> None:
    async with room.host():
        room.supply.present = False
        await room.clock.advance(1.0)
        reading = (await room.present())["temperature"]
        assert (reading.value, reading.quality) == (20.0, Quality.STALE)
        assert (await room.state("a")).state == "DISCONNECTED"
        (event,) = [event for event in await room.events(EventKind.LINK) if event.after == "disconnected"]
        assert event.cause
        room.supply.present = True
        await room.clock.advance(1.0)
        assert (await room.state("a")).state == "OFF"
        assert (await room.messages())[-1].full


async def test_a_hundred_failures_are_logged_once(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="countingroom.devices")
    room.supply.present = False
    async with room.host(reconnect_first=0.1, reconnect_most=1.0) as _:
        await room.clock.advance(120.0)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert len(await room.events(EventKind.LINK)) == 1
        room.supply.present = True
        await room.clock.advance(1.0)
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_pauses_between_attempts_grow_to_their_cap(room: Room) -> None:
    room.supply.present = False
    attempts: list[float] = []

    class Counting(FakeDriver):
        async def connect(self) -> None:
            attempts.append(room.clock.monotonic())
            await super().connect()

    async with room.host(driver=Counting, reconnect_first=1.0, reconnect_most=4.0):
        await room.clock.advance(20.0)
    pauses = [round(later - earlier, 3) for earlier, later in itertools.pairwise(attempts)]
    assert pauses[:4] == [1.0, 2.0, 4.0, 4.0]


async def test_a_device_that_hangs_is_given_up_and_found_again(room: Room) -> None:
    async with room.host(timeout=1.0):
        room.supply.hanging = True
        await room.clock.advance(20.0)
        state = await room.state()
        assert state.state == "DISCONNECTED"
        assert state.cause
        assert state.cause.code == "timeout"
        room.supply.hanging = False
        await room.clock.advance(31.0)
        assert (await room.state()).state == "OFF"


async def test_a_complaint_keeps_the_link_and_is_noted_once_until_it_is_over(room: Room) -> None:
    async with room.host():
        room.supply.complaint = "checksum"
        await room.clock.advance(10.0)
        assert (await room.state()).link == Link.CONNECTED
        assert len(await room.events(EventKind.NOTE)) == 1
        await room.clock.advance(25.0)
        assert (await room.present())["temperature"].quality == Quality.STALE
        room.supply.complaint = ""
        await room.clock.advance(1.0)
        assert len(await room.events(EventKind.NOTE)) == 2
        assert (await room.present())["temperature"].quality == Quality.GOOD


async def test_a_driver_with_a_mistake_in_it_is_a_lost_device_and_not_a_dead_host(room: Room) -> None:
    class Broken(FakeDriver):
        async def read(self):
            raise ZeroDivisionError("oops")

    async with room.host(driver=Broken):
        cause = (await room.state()).cause
        assert cause
        assert cause.code == "mistake"
        assert "oops" in cause.message


async def test_nan_is_published_as_bad(room: Room) -> None:
    async with room.host():
        room.supply.values["temperature"] = float("nan")
        await room.clock.advance(1.0)
        reading = (await room.present())["temperature"]
        assert (reading.value, reading.quality) == (None, Quality.BAD)


async def test_a_setpoint_is_done_when_its_readback_agrees(room: Room) -> None:
    async with room.host():
        room.supply.following = False
        assert (await room.set("a.v_set", 5.0)).accepted
        await room.clock.advance(2.0)
        assert await room.events(EventKind.DONE) == []
        room.supply.values["a.v_mon"] = 4.96
        await room.clock.advance(1.0)
        done = await room.outcome()
        assert (done.kind, done.principal, done.action) == (EventKind.DONE, "ann", "set")
        assert done.data["point"] == "a.v_set"
        (accepted,) = await room.events(EventKind.COMMAND)
        assert accepted.command_id == done.command_id


async def test_a_setpoint_that_does_not_hold_in_time_has_failed_with_both_numbers(room: Room) -> None:
    async with room.host():
        room.supply.following = False
        await room.set("a.v_set", 5.0)
        await room.clock.advance(6.0)
        failed = await room.outcome()
        assert failed.kind == EventKind.FAILED
        assert failed.cause
        assert failed.cause.code == "not_confirmed"
        assert failed.cause.evidence == {"written": 5.0, "readback": 0.0}


async def test_an_old_reading_that_happens_to_agree_proves_nothing(room: Room) -> None:
    async with room.host(poll=3.0):
        room.supply.following = False
        room.supply.values["a.v_mon"] = 5.0
        await room.clock.advance(3.0)

        def fall(point: str, value: Scalar) -> None:
            room.supply.values["a.v_mon"] = 0.0

        room.supply.take = fall  # type: ignore[method-assign]
        await room.set("a.v_set", 5.0)
        await room.clock.advance(6.0)
        assert (await room.outcome()).kind == EventKind.FAILED


async def test_a_command_is_done_when_its_state_is_reached_and_acts_on_one_channel(room: Room) -> None:
    async with room.host():
        assert (await room.give("switch_on", "a", seen_state="OFF")).accepted
        await room.clock.advance(1.0)
        assert room.supply.writes == [("a.on", True)]
        assert (await room.outcome()).kind == EventKind.DONE
        assert (await room.state("a")).state == "ON"
        assert (await room.state("b")).state == "OFF"
        changes = [(event.channel, event.before, event.after) for event in await room.events(EventKind.STATE)]
        assert changes[-2:] == [("a", "OFF", "ON"), ("", "OFF", "ON")]


async def test_a_refused_command_writes_nothing_and_is_on_record(room: Room) -> None:
    async with room.host():
        reply = await room.set("a.v_set", 99.0)
        assert not reply.accepted
        assert reply.cause
        assert (reply.cause.code, reply.cause.source) == ("out_of_range", "devices.supply")
        (event,) = await room.events(EventKind.REFUSED)
        assert (event.principal, event.cause) == ("ann", reply.cause)
        await room.clock.advance(2.0)
        assert room.supply.writes == []


async def test_the_same_command_twice_acts_once(room: Room) -> None:
    async with room.host():
        assert (await room.set("a.v_set", 5.0, id="same")).accepted
        await room.clock.advance(1.0)
        again = await room.set("a.v_set", 5.0, id="same")
        assert again.cause
        assert again.cause.code == "repeated"
        assert room.supply.writes == [("a.v_set", 5.0)]


async def test_garbage_on_the_command_subject_is_refused(room: Room) -> None:
    async with room.host():
        answer = await room.bus.request(subjects.command("ann", "devices", "supply"), b"\xff?", timeout_s=1)
        reply = decode(answer.data, Reply)
        assert reply.cause
        assert reply.cause.code == "malformed"


async def test_a_long_wait_for_one_readback_holds_up_no_other_command(room: Room) -> None:
    async with room.host():
        room.supply.following = False
        await room.set("a.v_set", 5.0)
        await room.set("b.on", True)
        await room.clock.advance(1.0)
        (done,) = await room.events(EventKind.DONE)
        assert done.data["point"] == "b.on"


async def test_a_newer_command_takes_the_place_of_the_older(room: Room) -> None:
    async with room.host():
        room.supply.following = False
        await room.set("a.v_set", 5.0)
        await room.set("a.v_set", 6.0)
        await room.clock.advance(0.5)
        (failed,) = await room.events(EventKind.FAILED)
        assert failed.cause
        assert failed.cause.code == "superseded"
        room.supply.values["a.v_mon"] = 6.0
        await room.clock.advance(1.0)
        assert (await room.outcome()).kind == EventKind.DONE


async def test_a_command_of_the_whole_device_takes_the_place_of_those_of_its_channels(room: Room) -> None:
    async with room.host():
        room.supply.values |= {"a.on": True, "b.on": False}
        await room.clock.advance(1.0)
        room.supply.take = lambda point, value: None  # type: ignore[method-assign]
        await room.give("switch_on", "b")
        await room.set("a.on", False)
        await room.give("switch_off")
        await room.clock.advance(0.1)
        failed = await room.events(EventKind.FAILED)
        assert {(event.channel, event.action) for event in failed} == {("b", "switch_on"), ("", "set")}
        assert {event.cause.code for event in failed if event.cause} == {"superseded"}


async def test_what_is_set_meanwhile_takes_the_place_of_no_switching(room: Room) -> None:
    async with room.host():
        room.supply.take = lambda point, value: None  # type: ignore[method-assign]
        await room.give("switch_on", "b")
        await room.give("ramp", arguments={"volts": 5.0})
        await room.give("refresh")
        await room.give("reconnect")
        await room.clock.advance(0.1)
        assert await room.events(EventKind.FAILED) == []
        room.supply.values["b.on"] = True
        await room.clock.advance(1.0)
        done = await room.events(EventKind.DONE)
        assert "switch_on" in {event.action for event in done}


async def test_what_a_command_under_way_has_written_counts_before_the_readback_shows_it(room: Room) -> None:
    async with room.host():
        room.supply.take = lambda point, value: None  # type: ignore[method-assign]
        assert (await room.give("switch_on", "a")).accepted
        refused = await room.set("a.v_set", 5.0)
        assert refused.cause
        assert refused.cause.code == "on"
        await room.clock.advance(6.0)
        assert (await room.outcome()).kind == EventKind.FAILED
        assert (await room.set("a.v_set", 5.0)).accepted


async def test_too_many_commands_under_way_are_refused(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_server, "UNDER_WAY", 1)
    async with room.host():
        room.supply.following = False
        assert (await room.set("a.v_set", 5.0)).accepted
        refused = await room.set("b.v_set", 5.0)
        assert refused.cause
        assert refused.cause.code == "busy"
        await room.clock.advance(6.0)
        assert (await room.set("b.v_set", 5.0)).accepted


async def test_the_host_standing_by_says_once_who_serves(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    async with room.host(instance="first"):
        caplog.clear()
        caplog.set_level(logging.INFO, logger="countingroom.devices")
        async with room.host(instance="second"):
            await room.clock.advance(20.0)
            (record,) = caplog.records
            assert "standing by" in record.getMessage()
            assert "first" in record.getMessage()


async def test_a_host_tells_which_devices_it_owns(room: Room) -> None:
    async with room.bus.subscribe(subjects.presence("devices", "main")) as heard:
        async with room.host():
            await room.clock.advance(2.0)
        beats: list[Presence] = []
        while not beats or not beats[-1].leaving:
            beats.append(decode((await anext(heard)).data, Presence))
    assert beats[1].targets == ("supply",)


async def test_a_write_that_meets_a_lost_link_has_failed_and_is_never_sent_later(room: Room) -> None:
    async with room.host():
        room.supply.present = False
        await room.set("a.v_set", 5.0)
        await room.clock.advance(0.5)
        failed = await room.outcome()
        assert failed.cause
        assert failed.cause.code == "link_lost"
        room.supply.present = True
        await room.clock.advance(10.0)
        assert (await room.state()).link == Link.CONNECTED
        assert room.supply.writes == []


async def test_a_device_that_says_no_to_a_write_fails_the_command_and_keeps_the_link(room: Room) -> None:
    class Stubborn(FakeDriver):
        async def write(self, point: str, value: float | int | str | bool) -> None:
            raise DeviceError("locked")

    async with room.host(driver=Stubborn):
        await room.set("a.v_set", 5.0)
        await room.clock.advance(0.5)
        failed = await room.outcome()
        assert failed.cause
        assert failed.cause.message == "refused by a: locked"
        assert (await room.state()).link == Link.CONNECTED


async def test_one_channel_that_says_no_keeps_no_other_from_being_switched(room: Room) -> None:
    class DeadBoard(FakeDriver):
        async def write(self, point: str, value: float | int | str | bool) -> None:
            if point.startswith("a."):
                raise DeviceError("the board does not answer")
            await super().write(point, value)

    room.supply.values |= {"a.on": True, "b.on": True}
    async with room.host(driver=DeadBoard):
        await room.give("switch_off")
        await room.clock.advance(1.0)
        assert room.supply.writes == [("b.on", False)]
        failed = await room.outcome()
        assert failed.cause
        assert [cause.message for cause in failed.cause.causes] == ["the board does not answer"]


async def test_a_slowly_polled_point_is_not_missed_between_two_polls(room: Room) -> None:
    async with room.host(poll="1 min"):
        await room.clock.advance(170.0)
        assert (await room.present())["temperature"].quality == Quality.GOOD


async def test_a_device_that_answers_slowly_is_polled_in_time_for_hours(room: Room) -> None:
    class Slow(FakeDriver):
        async def read(self) -> Sequence[Sample]:
            await room.clock.sleep(0.3)
            return await super().read()

    async with room.host(driver=Slow, poll="1 s"):
        before = room.supply.reads
        for _ in range(600):
            await room.clock.advance(1.0)
        assert abs(room.supply.reads - before - 600) <= 1


async def test_a_mistake_in_a_behaviour_is_a_refusal_and_not_silence(room: Room) -> None:
    class Muddled(FakeBehaviour):
        def may_write(self, point: str, value: Scalar, readings: object) -> None:
            raise KeyError("muddle")

    async with room.host(behaviour=Muddled):
        reply = await room.set("a.v_set", 1.0)
        assert reply.cause
        assert reply.cause.code == "mistake"


async def test_reconnect_makes_the_link_anew_without_waiting(room: Room) -> None:
    room.supply.present = False
    async with room.host(reconnect_first=30.0):
        await room.clock.advance(1.0)
        room.supply.present = True
        assert (await room.give("reconnect")).accepted
        await room.clock.advance(0.1)
        assert (await room.state()).link == Link.CONNECTED
        assert (await room.outcome()).kind == EventKind.DONE


async def test_settings_are_written_only_when_asked_for(room: Room) -> None:
    async with room.host(settings=(Write(point="a.v_set", value=5.0),)):
        await room.clock.advance(2.0)
    assert room.supply.writes == []


async def test_settings_are_never_written_where_it_would_be_unsafe(room: Room) -> None:
    room.supply.values["a.on"] = True
    settings = (
        Write(point="a.v_set", value=5.0),
        Write(point="b.v_set", value=6.0),
        Write(point="spare.v_set", value=1.0),
    )
    async with room.host(settings=settings, apply_on_connect=True):
        await room.clock.advance(2.0)
        assert room.supply.writes == [("b.v_set", 6.0)]
        notes = {event.channel: event.cause for event in await room.events(EventKind.NOTE)}
        assert notes["a"]
        assert notes["b"] is None
        room.supply.present = False
        await room.clock.advance(2.0)
        room.supply.present = True
        await room.clock.advance(2.0)
        assert room.supply.writes == [("b.v_set", 6.0)]


async def test_a_monitored_device_is_published_as_it_tells_and_never_polled(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver):
        reads = room.supply.reads
        room.supply.put("temperature", 30.0)
        await room.clock.advance(0)
        assert (await room.present())["temperature"].value == 30.0
        await room.clock.advance(20.0)
        assert room.supply.reads == reads


async def test_a_setpoint_of_a_monitored_device_holds_by_what_it_tells(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver):
        await room.set("a.v_set", 5.0)
        await room.clock.advance(0.1)
        assert (await room.outcome()).kind == EventKind.DONE


async def test_a_monitored_device_that_falls_silent_is_disconnected_and_found_again(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver):
        room.supply.drop()
        await room.clock.advance(0.1)
        assert (await room.state()).state == "DISCONNECTED"
        assert (await room.set("a.v_set", 5.0)).cause
        room.supply.present = True
        await room.clock.advance(3.0)
        assert (await room.state()).state == "OFF"
        assert (await room.present())["temperature"].quality == Quality.GOOD


async def test_a_storm_of_changes_is_thinned_to_the_latest_and_never_queued(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver):
        before = len(await room.messages())
        for number in range(1000):
            room.supply.put("a.v_mon", float(number % 10))
        room.supply.put("a.v_mon", 7.25)
        await room.clock.advance(0.1)
        assert len(await room.messages()) <= before + 2
        assert (await room.present())["a.v_mon"].value == 7.25


async def test_a_channel_that_flaps_fills_the_events_with_no_storm(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver):
        for number in range(400):
            room.supply.put("a.on", number % 2 == 0)
            room.supply.put("b.on", number >= 300)
            await room.clock.advance(0.1)
        flapped = [one for one in await room.events(EventKind.STATE) if one.channel == "a"]
        assert 20 <= len(flapped) <= 70
        assert all(last.after == event.before for last, event in itertools.pairwise(flapped)), "no gap in its states"
        others = [one.after for one in await room.events(EventKind.STATE) if one.channel == "b"]
        assert others[-1] == (await room.state("b")).state == "ON"
        room.supply.put("a.on", True)
        await room.clock.advance(2.0)
        assert (await room.state("a")).state == "ON"
        await room.clock.advance(60.0)
        room.supply.put("a.on", False)
        await room.clock.advance(0.1)
        assert (await room.state("a")).state == "OFF", "at once again"


async def test_a_monitored_device_that_comes_and_goes_fills_the_events_with_no_storm(room: Room) -> None:
    async with room.host(driver=FakeMonitoringDriver):
        for _ in range(400):
            room.supply.drop()
            await room.clock.advance(0.05)
            room.supply.present = True
            room.supply.put("temperature", 20.0)
            await room.clock.advance(0.05)
        told = [(one.before, one.after) for one in await room.events(EventKind.LINK)]
        assert 40 <= len(told) <= 140
        assert all(last[1] == one[0] for last, one in itertools.pairwise(told))
        await room.clock.advance(2.0)
        assert (await room.state()).state == "OFF"
        await room.clock.advance(60.0)
        room.supply.drop()
        room.supply.present = True
        room.supply.put("temperature", 20.0)
        await room.clock.advance(0.5)
        assert (await room.state()).state == "OFF", "at once again"


async def test_while_the_bus_is_away_the_device_is_looked_after_and_all_is_told_when_it_is_back(room: Room) -> None:
    async with room.host() as bus:
        bus.cut()
        reads = room.supply.reads
        room.supply.values["temperature"] = 33.0
        room.supply.values["a.on"] = True
        await room.clock.advance(2.0)
        assert room.supply.reads > reads
        bus.mend()
        await room.clock.advance(1.0)
        assert (await room.present())["temperature"].value == 33.0
        assert (await room.messages())[-1].full
        assert (await room.state("a")).state == "ON"
        assert [event.after for event in await room.events(EventKind.STATE) if event.channel == "a"][-1] == "ON"


async def test_a_host_that_stops_says_so_and_leaves_the_device_as_it_was(room: Room) -> None:
    room.supply.values["a.on"] = True
    async with room.host():
        assert (await room.state("a")).state == "ON"
    state = await room.state("a")
    assert state.state == "DISCONNECTED"
    assert state.cause
    assert state.cause.code == "host_stopped"
    assert {reading.quality for reading in (await room.present()).values()} == {Quality.STALE}
    assert room.supply.writes == []


async def test_a_restarted_host_is_right_at_once_from_the_field_alone(room: Room) -> None:
    async with room.host():
        pass
    room.supply.values["b.on"] = True
    async with room.host():
        assert (await room.state("b")).state == "ON"
        assert room.supply.writes == []


async def test_a_command_under_way_when_the_host_stops_ends_as_not_known(room: Room) -> None:
    async with room.host():
        room.supply.following = False
        await room.set("a.v_set", 5.0)
        await room.clock.advance(0.1)
    failed = await room.outcome()
    assert failed.cause
    assert failed.cause.code == "owner_stopped"


async def test_a_second_host_stands_by_and_takes_over_when_the_first_is_gone(room: Room) -> None:
    first = room.bus.client()
    async with room.host(instance="first", bus=first), room.host(instance="second"):
        await room.clock.advance(1.0)
        assert room.supply.connections == 1
        assert "first" in (await room.bus.holders())["device.supply"]
        first.cut()
        await room.clock.advance(7.0)
        assert "second" in (await room.bus.holders())["device.supply"]
        assert room.supply.connections == 2
        assert (await room.state()).state == "OFF"
        first.mend()
        await room.clock.advance(2.0)
        assert "second" in (await room.bus.holders())["device.supply"]
        assert (await room.state()).state == "OFF"


async def test_a_device_that_is_described_no_more_is_forgotten_unless_another_host_holds_it(room: Room) -> None:
    for name in ("former", "elsewhere"):
        for key in (subjects.catalogue_key(name), subjects.device_key(name), subjects.channel_key(name, "a")):
            await room.bus.put(subjects.STATE_BUCKET, key, b"{}")
    await room.bus.put(subjects.STATE_BUCKET, subjects.partition_key("former"), b"{}")
    lease = await room.bus.acquire("device.elsewhere", ttl_s=60, holder="another host")
    async with room.host(), room.bus.watch(subjects.STATE_BUCKET) as entries:
        there = {entry.key async for entry in present_keys(entries)}
    assert {key for key in there if "former" in key} == {subjects.partition_key("former")}
    assert len({key for key in there if "elsewhere" in key}) == 3
    assert subjects.catalogue_key("supply") in there
    await lease.release()


async def test_overrides_come_as_values_of_their_type(room: Room) -> None:
    async with room.host(points={"temperature": PointOverride(deadband=5.0)}):
        before = len(await room.messages())
        room.supply.values["temperature"] = 24.0
        await room.clock.advance(2.0)
        assert len(await room.messages()) == before
