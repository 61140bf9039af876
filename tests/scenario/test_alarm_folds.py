"""What follows from a fault stays folded under it for as long as a person would expect, and no longer."""

from __future__ import annotations

from msgspec import structs

from countingroom.core.commands.alarms import listed
from countingroom.core.errors import Cause
from countingroom.core.values import Quality
from tests.scenario.alarm_stage import CHILLER, AlarmStage

TRIP = "channel.chiller.1"
DEVICE = "device.chiller.state"
PUMP = "point.chiller.pump"
URGENT = structs.replace(CHILLER, points=(CHILLER.points[0], structs.replace(CHILLER.points[1], severity=1)))
OVER_CURRENT = Cause(code="trip", message="over-current", suggestion="clear the alarm")


async def trip(stage: AlarmStage) -> None:
    """A channel trips, and with it its device is in Error."""
    await stage.state("1", state="ERROR", common="error", cause=OVER_CURRENT)
    await stage.state(state="ERROR", common="error")
    await stage.clock.advance(0.1)
    assert (await stage.alarms())[DEVICE].cause_id == TRIP


async def test_a_consequence_that_ends_soon_after_its_cause_stays_under_it_and_is_acknowledged_with_it(
    stage: AlarmStage,
) -> None:
    async with stage.engine():
        await trip(stage)
        await stage.state("1")
        await stage.clock.advance(0.5)
        assert (await stage.alarms())[DEVICE].cause_id == TRIP
        await stage.state()
        await stage.clock.advance(5)
        assert await stage.shown() == {TRIP: "returned", DEVICE: "returned"}
        assert (await stage.alarms())[DEVICE].cause_id == TRIP
        assert await stage.command("acknowledge", alarms=listed({TRIP: 1})) is None
        assert await stage.shown() == {}
        told = await stage.told()
        assert f"announced {DEVICE}" not in told
        assert told[-2:] == [f"acknowledged {TRIP}", f"acknowledged {DEVICE}"]


async def test_a_consequence_of_an_acknowledged_cause_needs_no_acknowledgement(stage: AlarmStage) -> None:
    async with stage.engine():
        await trip(stage)
        assert await stage.command("acknowledge", alarms=listed({TRIP: 1})) is None
        await stage.state("1")
        await stage.state()
        await stage.clock.advance(0.1)
        assert await stage.shown() == {}


async def test_a_consequence_that_outlives_its_cause_is_announced_for_itself(stage: AlarmStage) -> None:
    async with stage.engine():
        await trip(stage)
        await stage.state("1")
        await stage.clock.advance(1.5)
        assert (await stage.alarms())[DEVICE].announced_ns is None
        await stage.clock.advance(1)
        alarm = (await stage.alarms())[DEVICE]
        assert (alarm.cause_id, alarm.announced_ns is not None) == ("", True)


async def test_an_engine_that_is_killed_meanwhile_is_followed_by_one_that_announces_it(stage: AlarmStage) -> None:
    async with stage.engine():
        await trip(stage)
        await stage.state("1")
        await stage.clock.advance(1)
    async with stage.engine():
        await stage.clock.advance(3)
        assert (await stage.alarms())[DEVICE].announced_ns is not None


async def test_a_consequence_stays_under_a_cause_that_becomes_unknown(stage: AlarmStage) -> None:
    await stage.put(URGENT)
    async with stage.engine():
        await stage.read(pump=True)
        await stage.state(state="ERROR", common="error")
        await stage.clock.advance(0.1)
        await stage.read(Quality.BAD, pump=None)
        await stage.clock.advance(5)
        alarms = await stage.alarms()
        assert alarms[PUMP].unknown
        assert (alarms[DEVICE].cause_id, alarms[DEVICE].announced_ns) == (PUMP, None)


async def test_a_new_fault_does_not_follow_from_one_that_is_over(stage: AlarmStage) -> None:
    async with stage.engine():
        await trip(stage)
        await stage.state("1")
        await stage.state()
        await stage.clock.advance(5)
        await stage.state(state="ERROR", common="error")
        await stage.clock.advance(0.1)
        alarm = (await stage.alarms())[DEVICE]
        assert (alarm.occurrence, alarm.cause_id, alarm.announced_ns is not None) == (2, "", True)


async def test_the_consequence_of_a_cause_that_is_no_longer_described_is_announced(stage: AlarmStage) -> None:
    await stage.put(URGENT)
    async with stage.engine():
        await stage.read(pump=True)
        await stage.state(state="ERROR", common="error")
        await stage.clock.advance(0.1)
        assert (await stage.alarms())[DEVICE].cause_id == PUMP
        await stage.put(structs.replace(CHILLER, points=CHILLER.points[:1]))
        await stage.clock.advance(3)
        alarms = await stage.alarms()
        assert set(alarms) == {DEVICE}
        assert alarms[DEVICE].announced_ns is not None


async def test_the_consequence_of_a_cause_that_is_shelved_is_announced(stage: AlarmStage) -> None:
    async with stage.engine():
        await trip(stage)
        assert await stage.command("shelve", alarms=listed({TRIP: None}), reason="known", seconds=60.0) is None
        await stage.clock.advance(3)
        assert (await stage.alarms())[DEVICE].announced_ns is not None


async def test_a_short_shelf_ends_in_time_when_nothing_else_happens(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.clock.advance(30)
        assert await stage.command("shelve", alarms=listed({PUMP: None}), reason="known", seconds=5.0) is None
        await stage.clock.advance(5.5)
        assert await stage.shown() == {}
