"""The alarm department: what it publishes, announces and keeps, on the memory bus with virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from msgspec import structs

from countingroom.core.alarms.definition import Count
from countingroom.core.alarms.states import BaseState
from countingroom.core.commands.alarms import listed
from countingroom.core.errors import Cause
from countingroom.core.messages import Link
from countingroom.core.values import Quality
from tests.console.runs_stage import member, partition
from tests.scenario.alarm_stage import CHILLER, AlarmStage

BATH = "point.chiller.bath"


@pytest.fixture
async def stage() -> AsyncGenerator[AlarmStage]:
    made = AlarmStage()
    await made.prepare()
    async with made.host("chiller"):
        yield made


async def test_a_value_beyond_its_limit_is_published_announced_and_gone_when_it_is_acknowledged_and_back(
    stage: AlarmStage,
) -> None:
    async with stage.engine():
        await stage.read(bath=25.0)
        assert await stage.shown() == {}
        await stage.read(bath=36.0)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.base, alarm.priority, alarm.occurrence) == (BATH, BaseState.UNACKNOWLEDGED, 2, 1)
        assert alarm.text == "Bath 36.00 °C is above its alarm limit 35.00 °C"
        assert (alarm.title, alarm.device, alarm.point, alarm.value) == ("Chiller / Bath", "chiller", "bath", 36.0)
        assert await stage.acknowledge(bath=1, comment="I fill it") is None
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.base, alarm.acknowledged_by, alarm.comment) == (BaseState.ACKNOWLEDGED, "anna", "I fill it")
        await stage.read(bath=25.0)
        assert await stage.shown() == {}
        assert await stage.told() == [f"announced {BATH}", f"acknowledged {BATH}", f"returned {BATH}"]


async def test_an_acknowledgement_of_an_earlier_occurrence_is_refused(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=36.0)
        await stage.read(bath=25.0)
        assert await stage.shown() == {BATH: "returned"}
        await stage.read(bath=36.0)
        cause = await stage.acknowledge(bath=1)
        assert cause is not None
        assert cause.code == "happened_again"
        assert await stage.shown() == {BATH: "unacknowledged"}


async def test_of_many_alarms_those_that_can_be_acknowledged_are_and_the_answer_tells_the_others(
    stage: AlarmStage,
) -> None:
    async with stage.engine():
        await stage.read(bath=36.0, pump=True)
        assert await stage.acknowledge(bath=1, pump=7) is None
        await stage.clock.advance(0.1)
        assert await stage.shown() == {BATH: "acknowledged", "point.chiller.pump": "unacknowledged"}
        unknown = await stage.acknowledge(nothing=1)
        assert unknown is not None
        assert unknown.code == "not_found"


async def test_what_is_already_so_is_done_and_counts_as_no_refusal(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=36.0, pump=True)
        assert await stage.acknowledge(bath=1) is None
        assert await stage.acknowledge(bath=1) is None
        assert "nothing to be done" in (await stage.endings())[-1]
        assert await stage.acknowledge(bath=1, pump=1) is None
        for action in ("unshelve", "in_service"):
            assert await stage.command(action, alarms=listed({BATH: None})) is None
        assert (await stage.alarms())[BATH].acknowledged_by == "anna"


async def test_a_rise_of_priority_is_announced_again(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=31.0)
        assert await stage.acknowledge(bath=1) is None
        await stage.read(bath=36.0)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.base, alarm.priority, alarm.occurrence) == (BaseState.UNACKNOWLEDGED, 2, 1)
        assert await stage.told() == [
            f"announced {BATH}",
            f"acknowledged {BATH}",
            f"raised {BATH}",
            f"announced_again {BATH}",
        ]


async def test_an_acknowledgement_of_a_lower_priority_is_refused(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=31.0)
        await stage.read(bath=36.0)
        cause = await stage.command("acknowledge", alarms=listed({BATH: (1, 3)}))
        assert cause is not None
        assert cause.code == "more_urgent"
        assert await stage.shown() == {BATH: "unacknowledged"}
        assert await stage.command("acknowledge", alarms=listed({BATH: (1, 2)})) is None
        assert await stage.shown() == {BATH: "acknowledged"}


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.BAD])
async def test_a_value_that_is_not_known_leaves_the_alarm_as_it_was(stage: AlarmStage, quality: Quality) -> None:
    async with stage.engine():
        await stage.read(bath=36.0)
        await stage.read(quality, bath=None)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.base, alarm.unknown) == (BaseState.UNACKNOWLEDGED, True)
        await stage.read(bath=float("nan"))
        (alarm,) = (await stage.alarms()).values()
        assert alarm.base is BaseState.UNACKNOWLEDGED
        await stage.read(bath=20.0)
        assert await stage.shown() == {BATH: "returned"}


async def test_a_killed_engine_is_followed_and_announces_nothing_twice(stage: AlarmStage) -> None:
    async with stage.engine() as first, stage.engine("standby"):
        await stage.read(bath=36.0, pump=True)
        assert await stage.acknowledge(bath=1) is None
        before = await stage.alarms()
        first.cancel()
        await stage.clock.advance(1.0)
        assert await stage.alarms() == before
        await stage.read(bath=37.0, pump=True)
        assert await stage.shown() == {BATH: "acknowledged", "point.chiller.pump": "unacknowledged"}
        assert sorted(await stage.told()) == [
            f"acknowledged {BATH}",
            f"announced {BATH}",
            "announced point.chiller.pump",
        ]
        assert await stage.acknowledge(pump=1) is None


async def test_after_a_restart_of_everything_the_conditions_are_derived_anew_and_the_saved_states_stay(
    stage: AlarmStage,
) -> None:
    async with stage.engine():
        await stage.read(full=True, bath=36.0, pump=True)
        assert await stage.acknowledge(bath=1) is None
    assert stage.store.saved[BATH].state is not None
    for key in (f"alarm.{BATH}", "alarm.point.chiller.pump"):
        await stage.bus.delete("state", key)  # the bus was restarted too
    await stage.read(full=True, bath=20.0, pump=True)
    async with stage.engine():
        await stage.clock.advance(1)
        assert await stage.shown() == {"point.chiller.pump": "unacknowledged"}
        assert await stage.told() == [
            f"announced {BATH}",
            "announced point.chiller.pump",
            f"acknowledged {BATH}",
            f"returned {BATH}",
        ]
        await stage.read(bath=36.0)
        assert (await stage.alarms())[BATH].occurrence == 2


async def test_an_alarm_keeps_title_and_area_until_its_device_is_described_again(stage: AlarmStage) -> None:
    lost: dict[str, Any] = {"link": Link.DISCONNECTED, "state": "DISCONNECTED"}
    async with stage.engine():
        await stage.state(**lost)
        (before,) = (await stage.alarms()).values()
    await stage.bus.delete("state", "catalogue.chiller")
    async with stage.engine():
        await stage.state(**lost, since_ns=7)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.title, alarm.area) == (before.title, before.area) == ("Chiller", "cooling")
        await stage.put(structs.replace(CHILLER, title="Chiller of the hall"))
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.title, alarm.area) == ("Chiller of the hall", "cooling")


async def test_a_bus_that_has_forgotten_the_alarms_gets_them_again(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=36.0)
        stage.buses["main"].cut()
        await stage.bus.delete("state", f"alarm.{BATH}")
        await stage.clock.advance(1)
        stage.buses["main"].mend()
        await stage.clock.advance(1)
        assert await stage.shown() == {BATH: "unacknowledged"}
        assert await stage.told() == [f"announced {BATH}"]


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


async def test_limits_of_a_channel_that_is_off_mean_nothing(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.state("1", active=False)
        await stage.read(ch1_v=0.0)
        assert await stage.shown() == {}
        await stage.state("1")
        await stage.clock.advance(0.1)
        assert await stage.shown() == {"point.chiller.1.v": "unacknowledged"}


async def test_an_alarm_that_the_device_gives_counts(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(alarms={"bath": 1}, bath=20.0)
        (alarm,) = (await stage.alarms()).values()
        assert alarm.priority == 1


async def test_a_shelf_ends_by_itself_and_the_alarm_is_announced_as_back(stage: AlarmStage) -> None:
    async with stage.engine():
        shelve: dict[str, Any] = {"alarms": listed({BATH: None}), "reason": "cable work", "seconds": 60.0}
        assert await stage.command("shelve", **shelve) is None
        assert await stage.shown() == {BATH: "shelved"}
        await stage.read(bath=36.0)
        assert await stage.told() == [f"shelved {BATH}", f"activated {BATH}"]
        await stage.clock.advance(58)
        assert await stage.shown() == {BATH: "shelved"}
        await stage.clock.advance(2)
        assert await stage.shown() == {BATH: "unacknowledged"}
        assert (await stage.told())[2:] == [f"shelf_ended {BATH}", f"announced_again {BATH}"]


async def test_a_shelf_outlives_the_engine_and_ends_while_it_is_down(stage: AlarmStage) -> None:
    async with stage.engine():
        shelve: dict[str, Any] = {"alarms": listed({BATH: None}), "reason": "cable work", "seconds": 60.0}
        assert await stage.command("shelve", **shelve) is None
        await stage.read(full=True, bath=36.0)
    async with stage.engine():
        await stage.clock.advance(1)
        assert await stage.shown() == {BATH: "shelved"}
    await stage.clock.advance(100)
    async with stage.engine():
        await stage.clock.advance(1)
        assert await stage.shown() == {BATH: "unacknowledged"}


async def test_a_whole_area_is_shelved(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.clock.advance(0.1)
        assert await stage.command("shelve", area="cooling", reason="maintenance", seconds=60.0) is None
        shown = await stage.shown()
        assert {"device.chiller.link", "device.chiller.state", BATH, "point.chiller.pump"} <= set(shown)
        assert set(shown.values()) == {"shelved"}
        assert await stage.command("unshelve", area="cooling") is None
        assert await stage.shown() == {}


async def test_without_the_database_alarms_are_announced_and_commands_refused(stage: AlarmStage) -> None:
    async with stage.engine():
        stage.store.is_away = True
        await stage.read(bath=36.0)
        assert await stage.shown() == {BATH: "unacknowledged"}
        cause = await stage.acknowledge(bath=1)
        assert cause is not None
        assert cause.code == "disk_full"
        assert await stage.shown() == {BATH: "unacknowledged"}
        stage.store.is_away = False
        await stage.clock.advance(2)
        assert stage.store.saved[BATH].occurrence == 1
        assert await stage.acknowledge(bath=1) is None


async def test_a_device_that_is_no_longer_described_closes_its_alarms(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=36.0, pump=True)
        await stage.put(structs.replace(CHILLER, points=CHILLER.points[:1]))
        await stage.clock.advance(0.1)
        assert await stage.shown() == {BATH: "unacknowledged"}
        await stage.bus.delete("state", "catalogue.chiller")
        await stage.clock.advance(0.1)
        assert await stage.shown() == {}
        assert [one for one in await stage.told() if one.startswith("closed")] == [
            "closed point.chiller.pump",
            f"closed {BATH}",
        ]


async def test_names_that_cannot_stand_in_a_key_hide_no_other_alarm(stage: AlarmStage) -> None:
    async with stage.engine():
        odd = structs.replace(CHILLER.points[0], name="a b")
        await stage.put(structs.replace(CHILLER, points=(odd, *CHILLER.points), channels=("1", "x*")))
        await stage.partition(partition("mCBM", members=(member("<b>"), member("DCS", seen="Error", own="Error"))))
        await stage.read(bath=36.0)
        assert await stage.shown() == {BATH: "unacknowledged", "member.mCBM.DCS": "unacknowledged"}


async def test_a_latching_alarm_waits_for_its_reset() -> None:
    stage = AlarmStage(latching=True)
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        await stage.read(bath=36.0)
        assert await stage.acknowledge(bath=1) is None
        await stage.read(bath=20.0)
        assert await stage.shown() == {BATH: "latched"}
        cause = await stage.command("reset", alarms=listed({BATH: 7}))
        assert cause is not None
        assert cause.code == "happened_again"
        assert await stage.command("reset", alarms=listed({BATH: 1})) is None
        assert await stage.shown() == {}


async def test_the_text_of_an_active_alarm_follows_its_value_once_a_second(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(bath=36.0)
        await stage.clock.advance(1)
        for tenth in range(5):
            await stage.read(bath=37.0 + tenth / 10)
        await stage.clock.advance(1.1)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.value, alarm.occurrence) == (37.4, 1)
        assert alarm.text == "Bath 37.40 °C is above its alarm limit 35.00 °C"


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
