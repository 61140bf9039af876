"""An effect that ends and begins again while something hangs acts for its present trip, and is told as reached."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.interlocks.described import interlock_spec
from countingroom.alarms.interlocks.effects import EffectRunner
from countingroom.bus import streams
from countingroom.core.clock import Clock
from countingroom.core.interlocks.chart import initial
from countingroom.core.interlocks.history import InterlockEntry
from countingroom.core.interlocks.specs import MatrixCell
from countingroom.core.interlocks.states import Bypass, InterlockState
from tests.scenario.interlock_stage import SECTION, InterlockStage, MemoryInterlocks
from tests.scenario.test_interlock_host import HOT, LOCAL, Room


class Slow(MemoryInterlocks):
    """It takes its time to save, where it is asked to."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.takes_s = 0.0

    async def save(
        self,
        writer: int,
        states: Sequence[InterlockState] = (),
        entries: Sequence[InterlockEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        await self._clock.sleep(self.takes_s)
        await super().save(writer, states, entries, synced=synced)


def without_latch() -> AlarmsSection:
    """A second interlock, `pump`, that does not latch beside the one that does."""
    cooling = SECTION["interlocks"]["cooling"]
    pump: dict[str, Any] = {
        "latch": False,
        "causes": {"pump": cooling["causes"]["pump"]},
        "effects": {"off": {"commands": [{"device": "caen", "channel": 1, "command": "off"}]}},
        "matrix": {"pump": ["off"]},
    }
    return AlarmsSection.model_validate({"interlocks": {"cooling": cooling, "pump": pump}})


async def test_an_effect_that_begins_ends_and_begins_again_within_one_save_is_told_as_reached() -> None:
    stage = InterlockStage()
    stage.definitions = Definitions(without_latch())
    slow = stage.kept = stage.interlocks = Slow(stage.clock)
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        await stage.clock.advance(5)
        slow.takes_s = 0.5
        await stage.read(bath=36.0)
        await stage.clock.advance(2.1)  # the trip of the other one is being saved
        for pump in (True, False, True):
            await stage.read(pump=pump)
        slow.takes_s = 0.0
        await stage.clock.advance(5)
        state = await stage.state_of("pump")
        off = state.effect("off")
        assert off is not None
        assert (state.trip, off.acting_ns is None) == (2, False)
        assert "interlock.pump caen.1 off" in stage.given
        assert off.reached_ns is not None


WARM = replace(HOT, name="warm", title="Warm")
TWO = replace(LOCAL, causes=(HOT, WARM), matrix=(*LOCAL.matrix, MatrixCell(cause="warm", effect="off")), latch=False)


def bypassing(room: Room, name: str) -> InterlockState:
    """What the engine publishes while it bypasses this cause and no other."""
    theirs, now_ns = initial(TWO), room.clock.now_ns()
    bypass = Bypass(by="eva", reason="repair", since_ns=now_ns, until_ns=now_ns + 3_600_000_000_000)
    return replace(
        theirs, causes=tuple(replace(one, bypass=bypass if one.name == name else None) for one in theirs.causes)
    )


async def test_an_effect_that_ends_and_begins_again_in_one_step_of_a_host_is_told_as_reached(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await streams.prepare(room.bus)
    async with room.host(TWO):
        await room.engine_says(bypassing(room, "warm"))
        room.supply.put("temperature", 36.0)
        await room.settle()
        assert (await room.local()).trip == 1
        await room.engine_says(bypassing(room, "hot"))
        await room.settle(1.0)
        state = await room.local()
        off = state.effect("off")
        assert off is not None
        assert (state.trip, off.cause) == (2, "warm")
        assert off.reached_ns is not None


async def test_an_effect_that_ends_before_its_runner_runs_is_not_carried_out() -> None:
    stage = InterlockStage()
    await stage.prepare()
    spec = interlock_spec("cooling", stage.definitions.section.interlocks["cooling"])
    (effect, *_) = (one for one in spec.effects if one.commands)
    reports: list[str] = []

    def report(_interlock: str, effect: str, _trip: int, _trouble: str) -> None:
        reports.append(effect)

    runner = EffectRunner(stage.bus, stage.clock, [spec], report)
    runner.begin("cooling", effect, 1)
    runner.end("cooling", effect.name)
    async with stage.targets(), asyncio.TaskGroup() as group:
        running = group.create_task(runner.run())
        await stage.clock.advance(5)
        running.cancel()
    assert (reports, stage.given) == ([], [])
