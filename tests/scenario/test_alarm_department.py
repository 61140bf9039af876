"""The alarm department: what it publishes, announces and keeps, on the memory bus with virtual time."""

from __future__ import annotations

import pytest
from msgspec import structs

from countingroom.core.alarms.states import BaseState
from countingroom.core.commands.alarms import listed
from countingroom.core.values import Quality
from tests.console.runs_stage import member, partition
from tests.scenario.alarm_stage import CHILLER, AlarmStage

BATH = "point.chiller.bath"


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
