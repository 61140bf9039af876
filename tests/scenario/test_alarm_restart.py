"""Alarms over a kill, a restart and a bus that forgot them: nothing is lost, nothing announced twice."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from countingroom.core.messages import Link
from tests.scenario.alarm_stage import CHILLER, AlarmStage

BATH = "point.chiller.bath"


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
