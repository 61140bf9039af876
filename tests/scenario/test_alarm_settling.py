"""Hysteresis, delays and counts of an alarm, in the department."""

from __future__ import annotations

from countingroom.core.alarms.definition import Count
from countingroom.core.alarms.states import BaseState
from countingroom.core.messages import Link
from tests.scenario.alarm_stage import AlarmStage

BATH = "point.chiller.bath"


async def test_a_value_must_come_back_by_the_hysteresis() -> None:
    stage = AlarmStage(hysteresis=2.0)
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        await stage.read(bath=36.0)
        await stage.read(bath=33.5)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.base, alarm.priority) == (BaseState.UNACKNOWLEDGED, 2)
        assert alarm.text == "Bath 36.00 °C is above its alarm limit 35.00 °C"
        await stage.read(bath=32.9)
        assert (await stage.alarms())[BATH].priority == 3
        await stage.read(bath=27.9)
        assert await stage.shown() == {BATH: "returned"}


async def test_a_value_within_the_hysteresis_after_a_restart_is_still_an_alarm() -> None:
    stage = AlarmStage(hysteresis=2.0)
    await stage.prepare()
    async with stage.host("chiller"):
        async with stage.engine():
            await stage.read(full=True, bath=36.0)
            assert await stage.acknowledge(bath=1) is None
        await stage.read(full=True, bath=33.5)
        async with stage.engine():
            await stage.clock.advance(1)
            assert await stage.shown() == {BATH: "acknowledged"}
            await stage.read(bath=20.0)
            assert await stage.shown() == {}


async def test_a_value_must_be_beyond_for_the_on_delay_and_back_for_the_off_delay() -> None:
    stage = AlarmStage(on_delay_s=10.0, off_delay_s=5.0)
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        await stage.read(bath=36.0)
        await stage.clock.advance(9)
        assert await stage.shown() == {}
        await stage.read(bath=20.0)
        await stage.read(bath=36.0)
        await stage.clock.advance(9.5)
        assert await stage.shown() == {}
        await stage.clock.advance(1)
        assert await stage.shown() == {BATH: "unacknowledged"}
        await stage.read(bath=20.0)
        await stage.clock.advance(4)
        assert await stage.shown() == {BATH: "unacknowledged"}
        await stage.clock.advance(2)
        assert await stage.shown() == {BATH: "returned"}


async def test_a_link_must_be_lost_for_the_on_delay() -> None:
    stage = AlarmStage(on_delay_s=10.0)
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        await stage.state(link=Link.DISCONNECTED, state="DISCONNECTED")
        await stage.clock.advance(5)
        await stage.state()
        await stage.clock.advance(20)
        assert await stage.told() == []
        await stage.state(link=Link.DISCONNECTED, state="DISCONNECTED")
        await stage.clock.advance(9.5)
        assert await stage.shown() == {}
        await stage.clock.advance(1)
        assert await stage.shown() == {"device.chiller.link": "unacknowledged"}


async def test_of_the_last_readings_so_many_must_be_beyond() -> None:
    stage = AlarmStage(count=Count(n=2, of=3))
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        for value in (36.0, 20.0, 20.0, 36.0, 20.0):
            await stage.read(bath=value)
            assert await stage.shown() == {}
        await stage.read(bath=36.0)
        assert await stage.shown() == {BATH: "unacknowledged"}
