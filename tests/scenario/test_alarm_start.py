"""A start in order announces nothing, in whichever order the processes come; what does not come is an alarm."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from countingroom.core.errors import Cause
from countingroom.core.messages import HOST_STOPPED, Link
from countingroom.core.systems import NO_CONNECTION
from tests.console.runs_stage import member, partition
from tests.scenario.alarm_stage import AlarmStage

LINK = "device.chiller.link"
FAREWELL = Cause(code=HOST_STOPPED, message="the device host was stopped", source="devices.chiller")
REFUSED = Cause(code="refused", message="the device refuses the connection", source="devices.chiller")


@pytest.fixture
async def stage() -> AsyncGenerator[AlarmStage]:
    """What a host and a run control left that were stopped in order."""
    made = AlarmStage(roles=("devices", "runs"))
    made.described = ("chiller",)
    await made.prepare()
    await farewell(made)
    await made.partition(partition("mCBM", members=(member("STS"),)))
    yield made


async def farewell(stage: AlarmStage) -> None:
    await stage.state(link=Link.DISCONNECTED, state="DISCONNECTED", common="no_link", cause=FAREWELL)


async def connecting(stage: AlarmStage) -> None:
    await stage.state(link=Link.CONNECTING, state="DISCONNECTED", common="no_link")


async def announced(stage: AlarmStage) -> list[str]:
    return [one for one in await stage.told() if one.startswith(("announced", "activated"))]


@pytest.mark.parametrize("seconds", [0.5, 3.0, 8.0, 11.0])
async def test_processes_that_start_after_the_engine_are_no_alarm(stage: AlarmStage, seconds: float) -> None:
    async with stage.engine():
        await stage.clock.advance(seconds)
        async with stage.host("chiller"), stage.host("partition.mCBM", role="runs"):
            await stage.clock.advance(0.2)
            await connecting(stage)
            await stage.clock.advance(2)
            await stage.state()
            await stage.clock.advance(30)
            assert await stage.told() == []
            assert await stage.shown() == {}


async def test_an_engine_that_starts_again_while_everything_runs_announces_nothing(stage: AlarmStage) -> None:
    async with stage.host("chiller"), stage.host("partition.mCBM", role="runs"):
        await stage.state()
        for _ in range(3):
            async with stage.engine():
                await stage.clock.advance(8)
        assert await stage.told() == []


async def test_processes_that_do_not_come_are_one_alarm_each(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.clock.advance(13)
        assert await stage.shown() == {}
        await stage.clock.advance(5)
        assert {id: one.cause_id for id, one in (await stage.alarms()).items()} == {
            "role.devices": "",
            LINK: "role.devices",
            "role.runs": "",
            "partition.mCBM.owner": "role.runs",
        }
        first, second = [one for one in await stage.told() if one.startswith("announced")]
        assert {first, second} == {"announced role.devices", "announced role.runs"}


async def test_a_device_that_cannot_be_connected_after_the_start_is_an_alarm(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"), stage.host("partition.mCBM", role="runs"):
        await connecting(stage)
        await stage.clock.advance(6)
        assert await stage.shown() == {}
        await stage.state(link=Link.DISCONNECTED, state="DISCONNECTED", cause=REFUSED)
        await stage.clock.advance(1)
        assert await stage.told() == [f"announced {LINK}"]


@pytest.mark.parametrize("in_order", [True, False])
async def test_a_host_that_is_started_again_is_no_alarm(stage: AlarmStage, in_order: bool) -> None:
    async with stage.engine(), stage.host("partition.mCBM", role="runs"):
        async with stage.host("chiller"):
            await stage.state()
            await stage.clock.advance(6)
            if in_order:
                await farewell(stage)
        await stage.clock.advance(1.5)
        async with stage.host("chiller"):
            await connecting(stage)
            await stage.clock.advance(1)
            await stage.state()
            await stage.clock.advance(20)
            assert await stage.told() == []


async def test_a_channel_that_is_found_later_than_its_device_is_no_alarm(stage: AlarmStage) -> None:
    """The channels of a gateway are found when they send something; until then the bus has the last word of the old
    host about them."""
    gone: dict[str, Any] = {"link": Link.DISCONNECTED, "state": "DISCONNECTED", "common": "no_link"}
    await stage.state("1", **gone, cause=FAREWELL)
    async with stage.engine(), stage.host("chiller"), stage.host("partition.mCBM", role="runs"):
        await connecting(stage)
        await stage.clock.advance(2)
        await stage.state()
        await stage.clock.advance(6)
        assert await stage.told() == []
        await stage.state("1")
        await stage.clock.advance(2)
        assert await stage.told() == []
        await stage.state("1", **gone, cause=REFUSED)
        await stage.clock.advance(2)
        assert await stage.told() == ["announced channel.chiller.1"]


async def test_a_host_that_is_stopped_in_order_and_stays_away_is_one_alarm(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("partition.mCBM", role="runs"):
        async with stage.host("chiller"):
            await stage.state()
            await stage.clock.advance(6)
            await farewell(stage)
        await stage.clock.advance(4.5)
        assert await stage.told() == ["announced role.devices", f"activated {LINK}"]


async def test_a_device_that_stays_lost_is_the_same_alarm_while_its_host_starts_again(stage: AlarmStage) -> None:
    lost: dict[str, Any] = {"link": Link.DISCONNECTED, "state": "DISCONNECTED", "cause": REFUSED}
    async with stage.engine(), stage.host("partition.mCBM", role="runs"), AsyncExitStack() as first:
        await first.enter_async_context(stage.host("chiller"))
        await stage.state(**lost)
        await stage.clock.advance(6)
        assert await stage.told() == [f"announced {LINK}"]
        await farewell(stage)
        await first.aclose()
        await stage.clock.advance(1)
        async with stage.host("chiller"):
            await connecting(stage)
            await stage.clock.advance(5)
            await stage.state(**lost)
            await stage.clock.advance(5)
            assert await stage.told() == [f"announced {LINK}"]
            assert await stage.shown() == {LINK: "unacknowledged"}


async def test_agents_that_come_soon_after_the_start_are_no_alarm(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"), stage.host("partition.mCBM", role="runs"):
        await stage.state()
        await stage.partition(partition("mCBM", members=(member("STS", seen=NO_CONNECTION, own="Idle"),)))
        await stage.clock.advance(3)
        await stage.partition(partition("mCBM", members=(member("STS"),)))
        await stage.clock.advance(10)
        assert await announced(stage) == []
