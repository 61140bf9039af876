"""A stop or an abort that comes while another command waits has the last word: what was asked before is not done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.errors import Cause
from countingroom.core.messages import Command, EventKind, Reply, decode, encode
from countingroom.core.run_book import RunEnd
from tests.scenario.experiment import World, experiment
from tests.scenario.test_interlocked_starts import STARTS, nothing_records, room
from tests.scenario.test_reconfigure import able


def slowly(world: World, work: Callable[..., Awaitable[Any]], seconds: float) -> Callable[..., Awaitable[Any]]:
    """The same, where the database takes its time."""

    async def slow(*args: Any, **named: Any) -> Any:
        await world.clock.sleep(seconds)
        return await work(*args, **named)

    return slow


async def why_overtaken(world: World, stop: str, action: str, **arguments: Any) -> Cause | None:
    """Why the command was refused that waits for the turn of another one while a stop is done."""
    before = asyncio.create_task(world.ask("exclude", system="MVD"))
    await world.clock.advance(0.1)
    waiting = asyncio.create_task(world.ask(action, **arguments))
    await world.clock.advance(0.1)
    assert not waiting.done()
    assert (await world.ask(stop)).accepted
    assert not before.done()
    reply = await waiting
    assert (await before).accepted
    return reply.cause


@pytest.mark.parametrize("stop", ["stop", "abort"])
@pytest.mark.parametrize("action", STARTS)
async def test_a_start_that_waits_for_another_command_is_ended_by_a_stop(
    action: str, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room() as world:
        include = world.database.partitions.include
        monkeypatch.setattr(world.database.partitions, "include", slowly(world, include, 3.0))
        cause = await why_overtaken(world, stop, action, **STARTS[action])
        await nothing_records(world)
        assert cause is not None
        assert cause.code == "stopped"
        assert "local has stopped it" in cause.message


@pytest.mark.parametrize(
    ("action", "given"), [("configure_all", {}), ("configure", {}), ("goal", {"state": "QA_Active"})]
)
async def test_a_configuration_that_waits_for_another_command_is_ended_by_an_abort(
    action: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room() as world:
        assert (await world.does("abort")).kind is EventKind.DONE
        include = world.database.partitions.include
        monkeypatch.setattr(world.database.partitions, "include", slowly(world, include, 3.0))
        cause = await why_overtaken(world, "abort", action, **given)
        await world.clock.advance(30)
        assert await world.is_in("Idle")
        assert cause is not None
        assert cause.code == "stopped"


async def test_a_goal_that_selects_a_tag_first_is_ended_by_an_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as world:
        select = world.database.partitions.select
        monkeypatch.setattr(world.database.partitions, "select", slowly(world, select, 3.0))
        going = asyncio.create_task(world.ask("goal", state="QA_Active", tag="physics-A"))
        await world.clock.advance(0.5)
        assert (await world.ask("abort")).accepted
        reply = await going
        await world.clock.advance(30)
        assert await world.is_in("Idle")
        assert reply.cause is not None
        assert reply.cause.code == "stopped"


async def asked_after(world: World, turns: int, *asked: tuple[str, dict[str, Any]]) -> list[Reply]:
    """The answers to commands of which each is sent so many turns of the event loop after the one before."""
    now_ns = world.clock.now_ns()
    asking: list[asyncio.Task[Message]] = []
    for number, (action, arguments) in enumerate(asked):
        command = Command(
            id=f"{turns}.{number}",
            action=action,
            arguments=arguments,
            issued_ns=now_ns,
            deadline_ns=now_ns + 10_000_000_000,
        )
        sent = world.bus.request(subjects.command("local", "runs", "A"), encode(command), timeout_s=60.0)
        asking.append(asyncio.create_task(sent))
        for _ in range(turns):
            await asyncio.sleep(0)
    await world.until(lambda: all(one.done() for one in asking))
    return [decode((await one).data, Reply) for one in asking]


@pytest.mark.parametrize("stop_first", [True, False])
async def test_no_change_in_place_takes_the_place_of_a_stop_that_came_at_the_same_moment(stop_first: bool) -> None:
    async with experiment(able(0.0)) as world:
        await world.does("configure_all")
        stop: tuple[str, dict[str, Any]] = ("stop", {})
        change: tuple[str, dict[str, Any]] = ("reconfigure", {"while_recording": True})
        for turns in range(12):
            await world.does("start")
            await world.reaches("Recording")
            parameters = json.dumps({"threshold": 100 + turns})
            await world.does("save_configuration", "_experiment", system="STS", tag="physics", parameters=parameters)
            both = [stop, change] if stop_first else [change, stop]
            await asked_after(world, turns, *both)
            await world.clock.advance(5)
            shown = await world.partition()
            assert shown is not None
            assert (shown.run, shown.state) == (0, "QA_Active"), f"after {turns} turns"
            await world.does("configure_all")
        assert {run.end for run in await world.runs()} == {RunEnd.STOPPED}


async def test_stop_is_shown_as_possible_between_two_runs_of_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as world:
        shown = await world.partition()
        assert shown is not None
        assert shown.refusals["stop"] is not None
        monkeypatch.setattr(world.database.runs, "reserve", slowly(world, world.database.runs.reserve, 3.0))
        await world.does("sequence", **STARTS["sequence"])
        await world.clock.advance(1)
        shown = await world.partition()
        assert shown is not None
        assert (shown.run, shown.refusals["stop"], shown.refusals["abort"]) == (0, None, None)
        assert (await world.ask("stop")).accepted
        await nothing_records(world)
        shown = await world.partition()
        assert shown is not None
        assert shown.refusals["stop"] is not None
