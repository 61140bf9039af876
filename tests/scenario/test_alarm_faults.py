"""One fault is one alarm: what a lost link, channel, host, owner or process brings with it is folded."""

from __future__ import annotations

from msgspec import structs

from countingroom.core.alarms.states import BaseState
from countingroom.core.errors import Cause
from countingroom.core.messages import Link
from countingroom.core.values import Quality
from tests.console.runs_stage import member, partition
from tests.scenario.alarm_stage import CHILLER, AlarmStage

BATH = "point.chiller.bath"


async def test_a_lost_link_is_one_alarm_under_which_those_of_the_device_are_folded(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=36.0)
        cause = Cause(code="timeout", message="no answer for 5 s", suggestion="check the cable")
        await stage.state(link=Link.DISCONNECTED, state="DISCONNECTED", common="no_link", cause=cause)
        await stage.read(Quality.STALE, bath=36.0)
        alarms = await stage.alarms()
        assert set(alarms) == {BATH, "device.chiller.link"}
        link = alarms["device.chiller.link"]
        assert (link.text, link.advice, link.first_out) == ("no link: no answer for 5 s", "check the cable", True)
        assert alarms[BATH].cause_id == "device.chiller.link"
        await stage.state()
        await stage.read(bath=36.0)
        alarms = await stage.alarms()
        assert (alarms[BATH].cause_id, alarms["device.chiller.link"].base) == ("", BaseState.RETURNED)


async def test_a_fault_of_a_channel_folds_that_of_the_device_and_the_member_that_names_it(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("partition.mCBM", role="runs"):
        trip = Cause(code="trip", message="over-current", suggestion="clear the alarm")
        await stage.state("1", state="ERROR", common="error", cause=trip)
        await stage.state(state="ERROR", common="error")
        now_ns = stage.clock.now_ns()
        blamed = Cause(
            code="device_state", message="the device chiller is ERROR", evidence={"device": "chiller"}, since_ns=now_ns
        )
        await stage.partition(partition("mCBM", members=(member("DCS", seen="Error", own="Error", cause=blamed),)))
        await stage.clock.advance(1)
        alarms = await stage.alarms()
        assert {id: one.cause_id for id, one in alarms.items()} == {
            "channel.chiller.1": "",
            "device.chiller.state": "channel.chiller.1",
            "member.mCBM.DCS": "channel.chiller.1",
        }
        assert alarms["channel.chiller.1"].first_out
        assert alarms["member.mCBM.DCS"].announced_ns is None
        # The cause goes, the consequence stays: it is announced for itself.
        await stage.state("1")
        await stage.state()
        await stage.clock.advance(3)
        assert (await stage.alarms())["member.mCBM.DCS"].announced_ns is not None


async def test_what_follows_from_a_fault_stays_folded_when_the_host_or_the_engine_starts_again(
    stage: AlarmStage,
) -> None:
    urgent = structs.replace(CHILLER.points[1], severity=1)
    await stage.put(structs.replace(CHILLER, points=(urgent,)))
    blamed = Cause(
        code="device_state",
        message="the device chiller is ERROR",
        evidence={"device": "chiller"},
        since_ns=stage.clock.now_ns(),
    )

    async def is_folded() -> None:
        await stage.clock.advance(3)  # longer than a consequence without a cause waits
        alarms = await stage.alarms()
        assert {id: (one.cause_id, one.announced_ns is not None) for id, one in alarms.items()} == {
            "point.chiller.pump": ("", True),
            "device.chiller.state": ("point.chiller.pump", False),
            "member.mCBM.DCS": ("point.chiller.pump", False),
        }

    async with stage.host("partition.mCBM", role="runs"):
        async with stage.engine():
            await stage.read(full=True, pump=True)
            await stage.state(state="ERROR", common="error")
            await stage.partition(partition("mCBM", members=(member("DCS", seen="Error", own="Error", cause=blamed),)))
            await is_folded()
            # A host that starts again gives the states of its devices a new begin.
            await stage.clock.advance(60)
            await stage.state(state="ERROR", common="error")
            await stage.read(full=True, pump=True)
            await is_folded()
        await stage.clock.advance(60)
        await stage.read(full=True, pump=True)
        async with stage.engine():
            await is_folded()


async def test_a_device_whose_host_is_gone_is_an_alarm(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.clock.advance(5)
        assert await stage.shown() == {}
    made = AlarmStage()
    await made.prepare()
    async with made.engine():
        await made.clock.advance(14)
        assert await made.shown() == {}
        await made.clock.advance(2)
        (alarm,) = (await made.alarms()).values()
        assert (alarm.id, alarm.priority) == ("device.chiller.link", 2)
        assert alarm.text == "its device host is gone or sends no heartbeat"
        async with made.host("chiller"):
            await made.clock.advance(1)
            assert await made.shown() == {"device.chiller.link": "returned"}


async def test_a_device_that_is_added_has_time_for_its_first_heartbeat(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(30)
        for device in ("spare", "unserved"):
            await stage.put(structs.replace(CHILLER, device=device))
        await stage.clock.advance(1)
        async with stage.host("chiller", "spare"):
            await stage.clock.advance(1)
            assert await stage.shown() == {}
            await stage.clock.advance(2)
            assert await stage.shown() == {"device.unserved.link": "unacknowledged"}


async def test_a_partition_without_an_owner_is_an_alarm_under_which_its_members_are_folded(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.clock.advance(5)
        await stage.partition(partition("mCBM", members=(member("DCS", seen="Error", own="Error"),)))
        await stage.clock.advance(1)
        assert await stage.shown() == {"member.mCBM.DCS": "unacknowledged"}
        await stage.clock.advance(10)
        alarms = await stage.alarms()
        assert set(alarms) == {"member.mCBM.DCS", "partition.mCBM.owner"}
        assert alarms["member.mCBM.DCS"].cause_id == "partition.mCBM.owner"


async def test_a_process_that_does_not_come_back_is_an_alarm() -> None:
    stage = AlarmStage(roles=("history",))
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        async with stage.host(role="history"):
            await stage.clock.advance(20)
            assert await stage.shown() == {}
        await stage.clock.advance(9)
        assert await stage.shown() == {}
        await stage.clock.advance(3)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.text) == ("role.history", "no heartbeat of the role history is received")
        async with stage.host(role="history"):
            await stage.clock.advance(1)
            assert await stage.shown() == {"role.history": "returned"}


async def test_a_partition_that_makes_no_progress_is_an_alarm_since_its_cause_and_not_since_its_state(
    stage: AlarmStage,
) -> None:
    async with stage.engine(), stage.host("partition.mCBM", role="runs"):
        state_ns = stage.clock.now_ns()
        await stage.clock.advance(60)
        cause = Cause(code="no_template", message="no template mine", since_ns=stage.clock.now_ns())
        await stage.partition(partition("mCBM", members=(), since_ns=state_ns, cause=cause))
        await stage.clock.advance(1)
        assert (await stage.alarms())["partition.mCBM.goal"].since_ns == cause.since_ns
