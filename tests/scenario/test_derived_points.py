"""Derived and calibrated points in a device host, seen from the bus, with time standing still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.bus.served import SILENT_S
from countingroom.core import subjects
from countingroom.core.alarms.conditions.described import DescribedCondition
from countingroom.core.alarms.conditions.specs import AlarmLimit, LimitSpec
from countingroom.core.interlocks.specs import CauseSpec, DeviceCommand, EffectSpec, InterlockSpec, MatrixCell
from countingroom.core.messages import Catalogue, DeviceState, Link, Presence, Readings, decode, encode
from countingroom.core.values import Quality, Reading
from countingroom.devices.calibrations import Calibrations
from countingroom.devices.drivers.derived.description import DerivedSection
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import Hosted, build
from countingroom.devices.resources import SharedResources
from countingroom.devices.section import DeviceSection
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_device import FakeBehaviour, FakeDriver, FakeMonitoringDriver, FakeSupply
from tests.scenario.alarm_stage import AlarmStage
from tests.scenario.hosting import running, sent_readings


class FakeSection(DeviceSection):
    driver: Literal["fake"] = "fake"


def values(**expressions: str | Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"value": one} if isinstance(one, str) else dict(one) for name, one in expressions.items()}


class Room:
    """A bus, a clock, a supply and hosts."""

    def __init__(self, stage: AlarmStage | None = None) -> None:
        self.clock = stage.clock if stage else FakeClock()
        self.bus = stage.bus if stage else MemoryBus(self.clock)
        self.supply = FakeSupply()

    @asynccontextmanager
    async def host(
        self,
        derived: Mapping[str, Any],
        *,
        serves: Sequence[str] = ("supply", "sums"),
        driver: type[FakeDriver] = FakeMonitoringDriver,
        bus: MemoryBus | None = None,
        instance: str = "main",
        interlocks: Sequence[InterlockSpec] = (),
        **section: object,
    ) -> AsyncGenerator[MemoryBus]:
        resources = SharedResources()
        made = FakeSection.model_validate(section)
        supply = Hosted(
            name="supply",
            title="Supply",
            group="Power supplies",
            driver=driver(self.supply),
            behaviour=FakeBehaviour(),
            section=made,
            calibrations=Calibrations(made.calibration, self.supply.points, device="supply"),
        )
        sums = build("sums", DerivedSection(driver="derived", values=dict(derived)), resources=resources)
        hosted = [one for one in (supply, sums) if one.name in serves]
        own = bus or self.bus.client()
        host = DeviceHost(own, self.clock, hosted, instance=instance, resources=resources, interlocks=interlocks)
        async with running(host, self.clock):
            yield own

    async def messages(self) -> list[Readings]:
        return await sent_readings(self.bus)

    async def now(self, point: str, device: str = "sums") -> Reading:
        rows = [row for one in await self.messages() if one.device == device for row in one.rows()]
        return dict(rows)[point]

    async def state(self, device: str = "sums") -> DeviceState:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.device_key(device))
        assert entry
        assert entry.data
        return decode(entry.data, DeviceState)


@pytest.fixture
async def room() -> Room:
    made = Room()
    await streams.prepare(made.bus)
    return made


BOTH = 'point("supply.a.v_mon") + point("supply.b.v_mon")'


async def test_a_derived_point_follows_its_inputs_once_a_batch(room: Room) -> None:
    room.supply.values |= {"a.v_mon": 1.0, "b.v_mon": 2.0}
    chain = values(
        sum={"value": BOTH, "unit": "V"}, double="sums.sum * 2", busy={"value": "sums.sum > 10", "type": "bool"}
    )
    async with room.host(chain, driver=FakeDriver):
        assert (await room.now("sum")).value == 3.0
        assert (await room.now("double")).value == 6.0
        before = len(await room.messages())
        room.supply.values |= {"a.v_mon": 5.0, "b.v_mon": 7.0}
        await room.clock.advance(1.0)
        of_sums = [one for one in (await room.messages())[before:] if one.device == "sums"]
        assert [dict(zip(one.points, one.values, strict=True)) for one in of_sums] == [
            {"sum": 12.0, "double": 24.0, "busy": True}
        ]
        assert of_sums[0].device_ns == [(await room.now("a.v_mon", "supply")).device_ns] * 3
    assert (await room.state()).link is Link.DISCONNECTED


async def test_an_input_that_becomes_stale_makes_it_stale_at_that_time(room: Room) -> None:
    room.supply.values["a.v_mon"] = 4.0
    points = {"*.v_mon": {"stale_after": 3.0}, "b.v_mon": {"stale_after": 0}}
    async with room.host(values(sum=BOTH, other='-point("supply.b.v_mon")'), points=points):
        await room.clock.advance(2.5)
        assert (await room.now("sum")).quality is Quality.GOOD
        await room.clock.advance(0.6)
        late = await room.now("sum")
        assert (late.value, late.quality) == (4.0, Quality.STALE)
        assert late.reason == "supply.a.v_mon is stale: no value for more than 3 s"
        assert (await room.now("inputs_missing")).value == 1
        assert (await room.now("other")).quality is Quality.GOOD
        room.supply.put("a.v_mon", 5.0)
        await room.clock.advance(0.1)
        assert (await room.now("sum")).value == 5.0
        assert (await room.now("sum")).quality is Quality.GOOD


async def test_a_lost_input_device_makes_it_stale_and_its_own_link_stays(room: Room) -> None:
    async with room.host(values(sum=BOTH)):
        room.supply.drop()
        await room.clock.advance(0.1)
        assert (await room.now("sum")).quality is Quality.STALE
        assert (await room.now("sum")).reason.startswith("supply.a.v_mon is stale")
        assert (await room.state()).link is Link.CONNECTED


async def test_what_cannot_be_computed_is_bad_with_the_reason(room: Room) -> None:
    room.supply.values |= {"a.v_mon": 1.0, "b.v_mon": 0.0}
    table = values(ratio='point("supply.a.v_mon") / point("supply.b.v_mon")', lost="supply.nothing")
    async with room.host(table):
        ratio = await room.now("ratio")
        assert (ratio.value, ratio.quality) == (None, Quality.BAD)
        assert "is a division by zero" in ratio.reason
        lost = await room.now("lost")
        assert (lost.quality, lost.reason) == (Quality.BAD, "")  # as any point that was never read
        assert (await room.now("inputs_missing")).value == 1
        room.supply.put("b.v_mon", 2.0)
        await room.clock.advance(0.1)
        assert (await room.now("ratio")).value == 0.5


async def test_a_calibrated_point_keeps_its_name_and_the_raw_value_is_one_too(room: Room) -> None:
    calibration = {"temperature": {"polynomial": [273.15, 1.01], "range": [-40.0, 85.0], "unit": "K"}}
    async with room.host(values(twice="supply.temperature * 2"), calibration=calibration):
        room.supply.put("temperature", 30.0)
        await room.clock.advance(0.1)
        assert (await room.now("temperature", "supply")).value == pytest.approx(303.45)
        assert (await room.now("temperature_raw", "supply")).value == 30.0
        assert (await room.now("twice")).value == pytest.approx(606.9)
        room.supply.put("temperature", 90.0)
        await room.clock.advance(0.1)
        beyond = await room.now("temperature", "supply")
        assert (beyond.value, beyond.quality) == (None, Quality.BAD)
        assert (await room.now("temperature_raw", "supply")).value == 90.0
        assert (await room.now("twice")).reason.startswith("supply.temperature is bad: the raw value 90 is above 85")
        entry = await room.bus.get(subjects.STATE_BUCKET, subjects.catalogue_key("supply"))
        assert entry
        assert entry.data
        points = {one.name: one for one in decode(entry.data, Catalogue).points}
        assert points["temperature"].formula == "273.15 + 1.01 x"
        assert points["temperature"].inputs == ("supply.temperature_raw",)
        assert (points["temperature"].unit, points["temperature_raw"].unit) == ("K", "degC")


async def test_inputs_of_another_host_come_over_the_bus_and_are_stale_when_it_dies(room: Room) -> None:
    room.supply.values["a.v_mon"] = 4.0
    async with AsyncExitStack() as stack:
        table = values(sum=BOTH)
        far = await stack.enter_async_context(room.host(table, serves=["supply"], instance="far"))
        await stack.enter_async_context(room.host(table, serves=["sums"], instance="near"))
        await room.clock.advance(2.0)
        assert (await room.now("sum")).value == 4.0
        room.supply.put("b.v_mon", 1.0)
        await room.clock.advance(0.1)
        assert (await room.now("sum")).value == 5.0
        far.cut()
        await room.clock.advance(4.0)
        late = await room.now("sum")
        assert late.quality is Quality.STALE
        assert "its device host is gone" in late.reason
        far.mend()
        room.supply.put("b.v_mon", 2.0)
        await room.clock.advance(3.0)
        assert (await room.now("sum")).value == 6.0


class OtherHost:
    """Another device host of the supply, of which each message is sent by hand."""

    def __init__(self, room: Room, boot: str) -> None:
        self.room = room
        self.boot = boot
        self.sequence = 0

    async def beat(self) -> None:
        now_ns = self.room.clock.now_ns()
        subject = subjects.presence("devices", "far")
        one = Presence(
            role="devices",
            instance="far",
            boot=self.boot,
            host="far",
            pid=1,
            interval_s=1.0,
            sent_ns=now_ns,
            targets=("supply",),
        )
        await self.room.bus.publish(subject, encode(one))

    async def tell(self, value: float, *, live: bool = False, sent_ns: int = 0) -> None:
        now_ns = sent_ns or self.room.clock.now_ns()
        self.sequence += 1
        message = Readings(
            device="supply",
            boot=self.boot,
            sequence=self.sequence,
            full=True,
            sent_ns=now_ns,
            points=["a.v_mon", "b.v_mon"],
            values=[value, 0.0],
            qualities=[0, 0],
            device_ns=[now_ns, now_ns],
            received_ns=[now_ns, now_ns],
        )
        if live:
            await self.room.bus.publish(subjects.live_readings("supply"), encode(message))
        else:
            await self.room.bus.append(subjects.readings("supply", full=True), encode(message))

    async def beats(self, seconds: int) -> None:
        for _ in range(seconds):
            await self.beat()
            await self.room.clock.advance(1.0)


async def test_what_a_former_host_has_said_is_stale_until_its_successor_says_more(room: Room) -> None:
    async with room.host(values(sum=BOTH), serves=["sums"], instance="near"):
        first = OtherHost(room, "first")
        await room.clock.advance(5.0)
        await first.beat()
        await first.tell(4.0)
        await first.beats(2)
        assert (await room.now("sum")).value == 4.0
        await room.clock.advance(5.0)  # it is killed
        assert (await room.now("sum")).quality is Quality.STALE
        second = OtherHost(room, "second")
        told = len(await room.messages())
        await second.beats(2)  # and comes back, and has not read the supply yet
        since = [row for one in (await room.messages())[told:] if one.device == "sums" for row in one.rows()]
        assert all(one.quality is Quality.STALE for name, one in since if name == "sum"), "not even for a moment"
        assert (await room.now("sum")).quality is Quality.STALE
        await second.tell(5.0)
        await second.beats(1)
        assert ((await room.now("sum")).value, (await room.now("sum")).quality) == (5.0, Quality.GOOD)


async def test_a_device_whose_host_beats_and_tells_nothing_is_stale(room: Room) -> None:
    async with room.host(values(sum=BOTH), serves=["sums"], instance="near"):
        far = OtherHost(room, "far")
        await far.beat()
        await far.tell(4.0)
        await far.beats(175)
        assert (await room.now("sum")).quality is Quality.GOOD
        await far.beats(10)
        assert (await room.now("sum")).quality is Quality.STALE
        assert "has told nothing" in (await room.now("sum")).reason
        await far.tell(6.0)
        await far.beats(1)
        assert (await room.now("sum")).value == 6.0


async def followed(room: Room, took: list[Readings]) -> asyncio.Task[None]:
    """A follower of all readings, which has begun."""
    following = asyncio.create_task(ReadingsFollower(room.bus, room.clock, took.append).run())
    await room.clock.advance(0.1)
    return following


async def test_an_old_full_message_is_no_present_value(room: Room) -> None:
    far, took = OtherHost(room, "far"), list[Readings]()
    await far.tell(4.0)
    await room.clock.advance(SILENT_S + 1.0)
    following = await followed(room, took)
    assert [(one.values, one.qualities) for one in took] == [([4.0, 0.0], [Quality.STALE, Quality.STALE])]
    assert set(took[0].reasons) == {"a.v_mon", "b.v_mon"}
    await far.tell(5.0)
    await room.clock.advance(0.1)
    assert took[-1].qualities == [Quality.GOOD, Quality.GOOD]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_what_the_stream_has_of_a_former_host_does_not_replace_a_live_message(room: Room) -> None:
    first, second, took = OtherHost(room, "first"), OtherHost(room, "second"), list[Readings]()
    following = await followed(room, took)
    sent_ns = room.clock.now_ns()
    await room.clock.advance(1.0)
    await second.tell(5.0, live=True)
    await room.clock.advance(0.1)
    assert took[-1].values[0] == 5.0
    await first.tell(4.0, sent_ns=sent_ns)  # it waited for a stream whose disk was full
    await room.clock.advance(0.1)
    assert took[-1].values[0] == 5.0
    await second.tell(6.0)
    await room.clock.advance(0.1)
    assert took[-1].values[0] == 6.0
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize("point", ["sums.kelvin", "supply.temperature"])
async def test_an_interlock_in_the_host_acts_on_a_derived_and_on_a_calibrated_point(room: Room, point: str) -> None:
    room.supply.values["a.on"] = True
    hot = DescribedCondition(spec=LimitSpec(high=(AlarmLimit(320.0, 2),)), inputs=(point,), text="hot")
    command = DeviceCommand(device="supply", channel="a", command="switch_off")
    interlock = InterlockSpec(
        name="hot",
        title="Hot",
        causes=(CauseSpec(name="hot", title="Hot", inputs=(hot,)),),
        effects=(EffectSpec(name="off", title="Off", commands=(command,)),),
        matrix=(MatrixCell(cause="hot", effect="off"),),
    )
    is_derived = point.startswith("sums")
    table = values(kelvin="supply.temperature" if not is_derived else "supply.temperature + 273.15")
    calibration = {} if is_derived else {"temperature": {"unit": "K"}}
    async with room.host(table, interlocks=[interlock], calibration=calibration) as bus:
        await room.clock.advance(1.0)
        assert room.supply.writes == []
        bus.cut()
        room.supply.put("temperature", 60.0)
        await room.clock.advance(0.1)
        assert room.supply.writes == [("a.on", False)]


async def test_a_limit_of_a_derived_point_is_an_alarm() -> None:
    stage = AlarmStage()
    await stage.prepare()
    room = Room(stage)
    table = values(kelvin={"value": "supply.temperature + 273.15", "unit": "K", "alarm_high": 320.0})
    async with stage.engine(), room.host(table):
        room.supply.put("temperature", 60.0)
        await room.clock.advance(1.0)
        assert (await stage.shown())["point.sums.kelvin"] == "unacknowledged"
