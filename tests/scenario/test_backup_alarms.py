"""What a process alone knows is an alarm: a scheduled backup that failed or is missing, a canary of the mirror."""

from __future__ import annotations

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from tests.scenario.alarm_stage import AlarmStage

FAILED, LATE = "backup.failed", "backup.late"


def stage_of(*, has_backups: bool = True) -> AlarmStage:
    stage = AlarmStage()
    section = AlarmsSection.model_validate({"priority": {"backup": 1}, "overrides": {LATE: {"priority": 2}}})
    stage.definitions = Definitions(section, has_backups=has_backups)
    return stage


async def test_a_failed_and_a_missing_backup_are_alarms_until_there_is_a_new_one() -> None:
    stage = stage_of()
    await stage.prepare()
    told = {FAILED: "", LATE: ""}
    async with stage.host("chiller"), stage.host(role="bus", conditions=told), stage.engine():
        await stage.clock.advance(20)
        assert await stage.shown() == {}
        told[FAILED] = "the last backup failed: the disk is full"
        await stage.clock.advance(3)
        alarm = (await stage.alarms())[FAILED]
        assert (alarm.priority, alarm.text) == (1, told[FAILED])
        told[LATE] = "the last backup is 2 d old"
        await stage.clock.advance(3)
        assert (await stage.alarms())[LATE].priority == 2
        told |= {FAILED: "", LATE: ""}
        await stage.clock.advance(3)
        assert await stage.shown() == {FAILED: "returned", LATE: "returned"}


async def test_the_alarm_stays_while_its_process_is_gone_and_outlives_the_engine() -> None:
    stage = stage_of()
    await stage.prepare()
    async with stage.host("chiller"):
        async with stage.host(role="bus", conditions={FAILED: "it failed"}), stage.engine():
            await stage.clock.advance(20)
        async with stage.engine():
            await stage.clock.advance(20)
            assert await stage.shown() == {FAILED: "unacknowledged"}


@pytest.mark.parametrize("role", ["bus", "history"])
async def test_only_the_supervisor_of_scheduled_backups_is_believed(role: str) -> None:
    stage = stage_of(has_backups=role != "bus")
    await stage.prepare()
    told = {FAILED: "it failed", "device.chiller.link": "it is gone"}
    async with stage.host("chiller"), stage.host(role=role, conditions=told), stage.engine():
        await stage.clock.advance(20)
        assert await stage.shown() == {}


async def test_a_canary_of_the_mirror_is_an_urgent_alarm_that_says_what_to_do() -> None:
    stage = AlarmStage()
    stage.definitions = Definitions(AlarmsSection(), has_canaries=True)
    await stage.prepare()
    told = {"mirror.canary": ""}
    async with stage.host("chiller"), stage.host(role="mirror", conditions=told), stage.engine():
        await stage.clock.advance(20)
        assert await stage.shown() == {}
        told["mirror.canary"] = "a canary was found"
        await stage.clock.advance(3)
        alarm = (await stage.alarms())["mirror.canary"]
        assert (alarm.priority, alarm.text) == (1, "a canary was found") and "mirror.publish" in alarm.advice
