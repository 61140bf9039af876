"""An alarm that is out of service is silent, and one that is so for too long is an alarm of its own."""

from __future__ import annotations

from typing import Any

from countingroom.core.commands.alarms import listed
from countingroom.core.policy import Role
from tests.scenario.alarm_stage import AlarmStage

BATH = "point.chiller.bath"


async def test_out_of_service_needs_an_expert_and_nothing_is_announced(stage: AlarmStage) -> None:
    stage.roles["ben"] = Role.SHIFTER
    given: dict[str, Any] = {
        "alarms": listed({BATH: None}),
        "owner": "carla",
        "reason": "sensor broken",
        "seconds": 3600.0,
    }
    async with stage.engine():
        cause = await stage.command("out_of_service", user="ben", **given)
        assert cause is not None
        assert cause.code == "denied"
        assert await stage.command("out_of_service", **given) is None
        await stage.read(bath=36.0)
        assert await stage.shown() == {BATH: "out_of_service"}
        assert await stage.command("in_service", alarms=listed({BATH: None})) is None
        assert await stage.shown() == {BATH: "unacknowledged"}


async def test_an_alarm_that_is_out_of_service_after_its_due_date_is_an_alarm_of_its_own(stage: AlarmStage) -> None:
    given: dict[str, Any] = {"alarms": listed({BATH: None}), "owner": "carla", "reason": "broken", "seconds": 60.0}
    overdue = f"overdue.{BATH}"
    async with stage.engine():
        assert await stage.command("out_of_service", **given) is None
        await stage.clock.advance(61)
        assert await stage.shown() == {BATH: "out_of_service", overdue: "unacknowledged"}
        alarm = (await stage.alarms())[overdue]
        assert (alarm.priority, alarm.title, alarm.area) == (3, "Chiller / Bath / out of service", "cooling/chiller")
        assert "carla repairs it: broken" in alarm.text
        assert "Put it in service again" in alarm.advice
    async with stage.engine():
        await stage.clock.advance(100)
        assert await stage.shown() == {BATH: "out_of_service", overdue: "unacknowledged"}
        assert await stage.told() == [f"out_of_service {BATH}", f"announced {overdue}"]
        # A later date ends it, and then it is overdue again.
        assert await stage.command("out_of_service", **given) is None
        assert (await stage.shown())[overdue] == "returned"
        await stage.clock.advance(61)
        assert (await stage.alarms())[overdue].occurrence == 2
        assert await stage.command("acknowledge", alarms=listed({overdue: 2})) is None
        assert await stage.command("in_service", alarms=listed({BATH: None})) is None
        assert await stage.shown() == {}


async def test_a_command_that_is_not_saved_leaves_an_overdue_alarm_as_it_was(stage: AlarmStage) -> None:
    given: dict[str, Any] = {"alarms": listed({BATH: None}), "owner": "carla", "reason": "broken", "seconds": 60.0}
    async with stage.engine():
        assert await stage.command("out_of_service", **given) is None
        await stage.clock.advance(61)
        before = await stage.shown()
        stage.store.is_away = True
        assert await stage.command("in_service", alarms=listed({BATH: None})) is not None
        stage.store.is_away = False
        await stage.clock.advance(5)
        assert await stage.shown() == before
        assert await stage.command("in_service", alarms=listed({BATH: None})) is None
        assert await stage.shown() == {f"overdue.{BATH}": "returned"}
