"""Shelved alarms: they end by themselves, outlive the engine, and are of one alarm or an area."""

from __future__ import annotations

from typing import Any

from countingroom.core.commands.alarms import listed
from tests.scenario.alarm_stage import AlarmStage

BATH = "point.chiller.bath"


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
