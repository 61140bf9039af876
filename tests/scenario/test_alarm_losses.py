"""A loss that heals by itself soon is no alarm; one that stays is one alarm, that of what all others miss."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from countingroom.core.messages import Link
from countingroom.core.systems import NO_CONNECTION
from tests.console.runs_stage import member, partition
from tests.scenario.alarm_stage import AlarmStage

SYSTEMS = ("STS", "TOF", "RICH")
STS = "member.mCBM.STS"
AGENTS = "role.agents"


@pytest.fixture
async def stage() -> AsyncGenerator[AlarmStage]:
    made = AlarmStage(roles=("agents",))
    await made.prepare()
    async with made.host("chiller"), made.host("partition.mCBM", role="runs"):
        yield made


async def seen(stage: AlarmStage, word: str) -> None:
    """The owner of the partition sees its systems so."""
    members = tuple(member(system, seen=word, own="Active") for system in SYSTEMS)
    await stage.partition(partition("mCBM", members=members))


@pytest.mark.parametrize("seconds", [0.1, 2.0])
async def test_agents_that_are_killed_and_come_back_soon_are_no_alarm(stage: AlarmStage, seconds: float) -> None:
    async with stage.engine():
        async with stage.host(role="agents"):
            await seen(stage, "Active")
            await stage.clock.advance(5)
        await seen(stage, NO_CONNECTION)
        await stage.clock.advance(seconds)
        async with stage.host(role="agents"):
            await seen(stage, "Active")
            await stage.clock.advance(20)
            assert await stage.told() == []


async def test_agents_that_stay_away_are_one_alarm_under_which_all_systems_are_folded(stage: AlarmStage) -> None:
    async with stage.engine():
        async with stage.host(role="agents"):
            await seen(stage, "Active")
            await stage.clock.advance(5)
        await seen(stage, NO_CONNECTION)
        await stage.clock.advance(10)
        alarms = await stage.alarms()
        assert {id: one.cause_id for id, one in alarms.items()} == {
            AGENTS: "",
            **{f"member.mCBM.{system}": AGENTS for system in SYSTEMS},
        }
        first, *others = await stage.told()
        assert first == f"announced {AGENTS}"
        assert sorted(others) == sorted(f"activated member.mCBM.{system}" for system in SYSTEMS)
        async with stage.host(role="agents"):
            await stage.clock.advance(0.5)
            await seen(stage, "Active")
            await stage.clock.advance(5)
            assert set((await stage.shown()).values()) == {"returned"}
            assert not [one for one in await stage.told() if one.startswith("announced member")]


async def test_one_system_that_is_lost_while_its_process_lives_is_an_alarm_of_its_own(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host(role="agents"):
        await stage.clock.advance(5)
        members = (member("STS", seen=NO_CONNECTION, own="Active"), member("TOF"))
        await stage.partition(partition("mCBM", members=members))
        await stage.clock.advance(3.5)
        assert await stage.shown() == {}
        await stage.clock.advance(1)
        assert await stage.shown() == {STS: "unacknowledged"}
        assert await stage.told() == [f"announced {STS}"]


async def test_an_error_is_an_alarm_at_once_also_after_a_loss(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host(role="agents"):
        await stage.clock.advance(5)
        await seen(stage, NO_CONNECTION)
        await stage.clock.advance(1)
        await stage.partition(partition("mCBM", members=(member("STS", seen="Error", own="Error"),)))
        await stage.clock.advance(0.1)
        assert await stage.shown() == {STS: "unacknowledged"}


async def test_a_delay_goes_on_after_a_restart_of_the_engine() -> None:
    stage = AlarmStage(on_delay_s=10.0, off_delay_s=10.0)
    await stage.prepare()
    async with stage.host("chiller"):
        async with stage.engine():
            await stage.state(link=Link.DISCONNECTED, state="DISCONNECTED")
            await stage.clock.advance(6)
        async with stage.engine():
            await stage.clock.advance(3)
            assert await stage.shown() == {}
            await stage.clock.advance(1)
            assert await stage.shown() == {"device.chiller.link": "unacknowledged"}
            await stage.state()
            await stage.clock.advance(6)
        async with stage.engine():
            await stage.clock.advance(3)
            assert await stage.shown() == {"device.chiller.link": "unacknowledged"}
            await stage.clock.advance(1.5)
            assert await stage.shown() == {"device.chiller.link": "returned"}


async def test_a_device_host_and_a_run_control_that_are_gone_are_one_alarm_each() -> None:
    stage = AlarmStage(roles=("devices", "runs"))
    await stage.prepare()
    async with stage.engine():
        async with stage.host("chiller"), stage.host("partition.mCBM", role="runs"):
            await stage.partition(partition("mCBM", members=(member("STS", seen="Error", own="Error"),)))
            await stage.clock.advance(6)
            assert await stage.shown() == {STS: "unacknowledged"}
        await stage.clock.advance(6)
        assert {id: one.cause_id for id, one in (await stage.alarms()).items()} == {
            "role.devices": "",
            "device.chiller.link": "role.devices",
            "role.runs": "",
            "partition.mCBM.owner": "role.runs",
            STS: "role.runs",
        }
        announced = {one for one in await stage.told() if one.startswith("announced ")}
        assert announced == {f"announced {STS}", "announced role.devices", "announced role.runs"}
    async with stage.engine():
        await stage.clock.advance(10)
        alarms = await stage.alarms()
        assert (alarms["device.chiller.link"].cause_id, alarms["partition.mCBM.owner"].cause_id) == (
            "role.devices",
            "role.runs",
        )
        assert {one for one in await stage.told() if one.startswith("announced ")} == announced
        async with stage.host("chiller"), stage.host("partition.mCBM", role="runs"):
            await stage.clock.advance(6)
            assert not any(one.cause_id for id, one in (await stage.alarms()).items() if id == STS)


async def test_a_device_that_its_living_host_serves_no_more_is_an_alarm_of_its_own() -> None:
    stage = AlarmStage(roles=("devices",))
    await stage.prepare()
    async with stage.engine(), AsyncExitStack() as first:
        await first.enter_async_context(stage.host("chiller"))
        await stage.clock.advance(6)
        async with stage.host("other"):
            await first.aclose()
            await stage.clock.advance(20)
            assert {id: one.cause_id for id, one in (await stage.alarms()).items()} == {"device.chiller.link": ""}
