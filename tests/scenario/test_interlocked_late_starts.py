"""What an interlock or a stop says while a start waits for the bus or the database still holds the start."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from countingroom.core import subjects
from countingroom.core.interlocks.states import Truth
from countingroom.core.messages import Reply
from tests.scenario.experiment import FaultyBus
from tests.scenario.test_interlocked_starts import SPEC, STARTS, nothing_records, room, says


async def test_a_trip_while_the_goal_waits_to_be_published() -> None:
    async with room() as world:
        bus = world.buses["runs"]
        assert isinstance(bus, FaultyBus)
        tripped: list[asyncio.Task[None]] = []
        end_s = 0.0

        def fails(where: str) -> bool:
            nonlocal end_s
            if where != subjects.partition_key("A"):
                return False
            if not tripped:
                tripped.append(asyncio.create_task(says(world, Truth.TRUE)))
                end_s = world.clock.monotonic() + 4.0
            return world.clock.monotonic() < end_s

        bus.fails = fails
        await world.ask("start")
        assert tripped
        await nothing_records(world)


@pytest.mark.parametrize("stop", ["stop", "abort"])
async def test_a_stop_while_the_database_is_asked_for_a_sequence(stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as world:
        configurations = world.database.configurations
        read = configurations.list
        stopped: list[Reply] = []

        async def slow(*what: Any, **more: Any) -> Sequence[Any]:
            monkeypatch.setattr(configurations, "list", read)
            stopped.append(await world.ask(stop))
            return await read(*what, **more)

        monkeypatch.setattr(configurations, "list", slow)
        refused = await world.ask("sequence", **STARTS["sequence"])
        assert [one.accepted for one in stopped] == [True]
        assert not refused.accepted
        await nothing_records(world)


async def test_a_state_that_cannot_be_decoded_leaves_no_older_one_in_force() -> None:
    async with room() as world:
        await world.bus.put(subjects.STATE_BUCKET, subjects.interlock_key(SPEC.name), b"\xc1")
        await world.clock.advance(2)
        refused = await world.ask("start")
        assert refused.cause is not None
        assert refused.cause.code == "interlock_unknown"
        await nothing_records(world)
