"""An engine that takes over while the database is away decides from the bus, and is reconciled when it comes."""

from __future__ import annotations

import pytest

from countingroom.alarms.engine.takeover import LOAD_S, PAUSE_S
from countingroom.core.alarms.history import HistoryKind
from countingroom.core.alarms.states import BaseState
from tests.scenario.alarm_stage import AlarmStage

BATH = "point.chiller.bath"
PUMP = "point.chiller.pump"


async def test_it_keeps_what_the_bus_has_and_announces_what_is_new(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(full=True, bath=36.0, pump=False)
        assert await stage.acknowledge(bath=1, comment="I fill it") is None
    stage.store.is_away = True
    async with stage.engine():
        await stage.clock.advance(1)
        await stage.read(full=True, bath=36.0, pump=True)
        assert await stage.shown() == {BATH: "acknowledged", PUMP: "unacknowledged"}
        cause = await stage.acknowledge(pump=1)
        assert cause is not None
        assert cause.code == "no_answer"
        stage.store.is_away = False
        await stage.clock.advance(3)
        assert await stage.shown() == {BATH: "acknowledged", PUMP: "unacknowledged"}
        assert await stage.acknowledge(pump=1) is None
        assert await stage.told() == [
            f"announced {BATH}",
            f"acknowledged {BATH}",
            f"announced {PUMP}",
            f"acknowledged {PUMP}",
        ]
        assert stage.store.saved[PUMP].occurrence == 1
        assert [row.kind for row in stage.store.rows if row.alarm == PUMP] == [
            HistoryKind.ANNOUNCED,
            HistoryKind.ACKNOWLEDGED,
        ]


async def test_its_occurrences_go_on_from_those_that_are_saved(stage: AlarmStage) -> None:
    async with stage.engine():
        for occurrence in (1, 2):
            await stage.read(bath=36.0)
            assert await stage.acknowledge(bath=occurrence) is None
            await stage.read(full=True, bath=20.0)
    stage.store.is_away = True
    async with stage.engine():
        await stage.clock.advance(1)
        await stage.read(full=True, bath=36.0)
        assert (await stage.alarms())[BATH].base is BaseState.UNACKNOWLEDGED
        stage.store.is_away = False
        await stage.clock.advance(3)
        assert (await stage.alarms())[BATH].occurrence == 3
        assert [row.occurrence for row in stage.store.rows if row.kind is HistoryKind.ANNOUNCED] == [1, 2, 3]
        assert await stage.acknowledge(bath=3) is None
        assert (await stage.told()).count(f"announced {BATH}") == 3


async def test_an_acknowledgement_that_only_the_database_knows_counts_again(stage: AlarmStage) -> None:
    async with stage.engine():
        await stage.read(full=True, bath=36.0)
        assert await stage.acknowledge(bath=1, comment="I fill it") is None
    await stage.bus.delete("state", f"alarm.{BATH}")  # the bus was restarted too
    stage.store.is_away = True
    async with stage.engine():
        await stage.clock.advance(1)
        assert await stage.shown() == {BATH: "unacknowledged"}
        stage.store.is_away = False
        await stage.clock.advance(3)
        alarm = (await stage.alarms())[BATH]
        assert (alarm.base, alarm.comment, alarm.occurrence) == (BaseState.ACKNOWLEDGED, "I fill it", 1)
        await stage.read(bath=20.0)
        assert await stage.shown() == {}


@pytest.mark.parametrize("call", ["load", "history"])
async def test_a_takeover_waits_only_so_long_for_a_database_that_hangs_in_a_read(stage: AlarmStage, call: str) -> None:
    async with stage.engine():
        await stage.read(full=True, bath=36.0)
        assert await stage.acknowledge(bath=1, comment="I fill it") is None
    stage.store.hangs = call
    async with stage.engine():
        await stage.clock.advance(LOAD_S + 1)
        await stage.read(full=True, bath=36.0, pump=True)
        assert await stage.shown() == {BATH: "acknowledged", PUMP: "unacknowledged"}
        stage.store.hangs = ""
        await stage.clock.advance(PAUSE_S + 1)
        assert await stage.acknowledge(pump=1) is None
        assert stage.store.saved[PUMP].occurrence == 1
