"""A start was accepted, and an interlock trips before anything records: the start fails, and nothing records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from countingroom.core import subjects
from countingroom.core.interlocks.chart import initial, step
from countingroom.core.interlocks.events import InputReading
from countingroom.core.interlocks.specs import EffectSpec, InterlockSpec, MatrixCell, permissives
from countingroom.core.interlocks.states import Truth
from countingroom.core.messages import EventKind, Presence, encode
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import Action
from countingroom.runs.service import RunsService
from tests.scenario.experiment import FaultyBus, World, description, experiment
from tests.unit.interlock_specs import cause

SPEC = InterlockSpec(
    name="cooling",
    title="Cooling lost",
    causes=(cause("warm"),),
    effects=(EffectSpec(name="no_start", forbid="A"),),
    matrix=(MatrixCell(cause="warm", effect="no_start"),),
)
SECTION = description({"kind": "simulated", "configure": "2 s"})
STARTS: dict[str, dict[str, Any]] = {
    "start": {},
    "repeat": {},
    "goal": {"state": "Recording"},
    "sequence": {"system": "STS", "parameter": "threshold", "values": "1,2", "seconds": 5},
}


class Interlocked(World):
    """A world whose run control knows the interlock."""

    def begin_runs(self, name: str = "runs") -> None:
        self.buses[name] = bus = FaultyBus(server=self.bus.server)
        service = RunsService(
            bus, self.clock, self.section, self.database, instance=name, permissives=permissives([SPEC])
        )
        self.begin(name, service.run)


async def says(world: World, truth: Truth) -> None:
    """The engine publishes the interlock with this truth of its cause."""
    state, _ = step(SPEC, initial(SPEC), {("warm", 0): InputReading(truth)}, world.clock.now_ns())
    await world.bus.put(subjects.STATE_BUCKET, subjects.interlock_key(SPEC.name), encode(state))


async def beat(world: World) -> None:
    """The heartbeats of an alarm engine, until cancelled."""
    while True:
        presence = Presence(
            role="alarms",
            instance="main",
            boot="b",
            host="h",
            pid=1,
            interval_s=1,
            sent_ns=world.clock.now_ns(),
            targets=(subjects.ALARMS,),
        )
        await world.bus.publish(subjects.presence("alarms", "main"), encode(presence))
        await world.clock.sleep(1.0)


@asynccontextmanager
async def room() -> AsyncGenerator[World]:
    """An experiment whose interlock permits a start. It is ready for its second run."""
    world = Interlocked(SECTION)
    async with experiment(world=world):
        world.begin("engine", lambda: beat(world))
        await says(world, Truth.FALSE)
        await world.clock.advance(2)
        await world.does("configure_all")
        assert (await world.does("start")).kind is EventKind.DONE
        assert (await world.does("stop")).kind is EventKind.DONE
        world.orders.clear()
        yield world


def while_reserving(world: World, monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[object]]) -> None:
    """This happens while the database reserves the next number of a run."""
    runs = world.database.runs
    reserve = runs.reserve

    async def slow(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(runs, "reserve", reserve)
        asking = asyncio.ensure_future(do())
        await world.clock.sleep(1.0)
        await asking
        return await reserve(*given, **named)

    monkeypatch.setattr(runs, "reserve", slow)


async def nothing_records(world: World) -> None:
    """Also later: whatever would follow has followed."""
    await world.clock.advance(60)
    assert Action.START not in {order.action for order in world.orders}
    first, *others = reversed(await world.runs())
    assert first.end is RunEnd.STOPPED
    assert {run.end for run in others} <= {RunEnd.NEVER_STARTED}


async def why_not(world: World, action: str) -> str:
    """Give a command that starts; the code of the cause for which no run begins."""
    reply = await world.ask(action, **STARTS[action])
    await world.clock.advance(30)
    if not reply.accepted:
        return reply.cause.code if reply.cause else ""
    ended = [event for event in await world.events() if event.command_id == reply.id and event.kind is EventKind.FAILED]
    ended += [event for event in await world.events() if event.action == "sequence_over"]
    return next((event.cause.code for event in ended if event.cause), "stopped" if ended else "")


@pytest.mark.parametrize("action", STARTS)
async def test_every_start_is_refused_while_nothing_is_known_and_stop_and_abort_are_not(action: str) -> None:
    world = Interlocked(SECTION)
    async with experiment(world=world):
        await world.does("configure_all")
        refused = await world.ask(action, **STARTS[action])
        assert refused.cause
        assert refused.cause.code == "interlock_unknown"
        assert "Cooling lost" in refused.cause.message
        assert refused.cause.suggestion
        assert (await world.ask("stop")).accepted
        assert (await world.does("abort")).kind is EventKind.DONE


@pytest.mark.parametrize("action", STARTS)
async def test_a_trip_while_the_number_is_reserved(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as world:
        while_reserving(world, monkeypatch, lambda: says(world, Truth.TRUE))
        assert await why_not(world, action) == "interlocked"
        await nothing_records(world)


@pytest.mark.parametrize("action", STARTS)
async def test_a_trip_before_the_number_is_reserved(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as world:
        written = world.database.runs.last_number

        async def slow(*given: Any, **named: Any) -> Any:
            monkeypatch.setattr(world.database.runs, "last_number", written)
            await says(world, Truth.TRUE)
            await world.clock.sleep(1.0)
            return await written(*given, **named)

        monkeypatch.setattr(world.database.runs, "last_number", slow)
        assert await why_not(world, action) == "interlocked"
        await nothing_records(world)
        assert len(await world.runs()) == 1, "no number was taken for it"


@pytest.mark.parametrize("action", ["goal", "repeat"])
async def test_a_trip_while_systems_are_configured_before_the_start(action: str) -> None:
    async with room() as world:
        if action == "goal":
            assert (await world.does("abort")).kind is EventKind.DONE
        else:
            await world.does("select_one", system="STS", tag="tests")
            await world.does("configure_all")
        world.orders.clear()
        reply = await world.ask(action, **STARTS[action])
        assert reply.accepted
        await world.until(lambda: any(order.action is Action.CONFIGURE for order in world.orders))
        await says(world, Truth.TRUE)
        await world.reaches("QA_Active")
        await nothing_records(world)
        (failed,) = [one for one in await world.events() if one.command_id == reply.id and one.kind is EventKind.FAILED]
        assert failed.cause
        assert failed.cause.message == "the interlock Cooling lost has tripped: warm"
        assert (await world.runs())[0].cause == failed.cause


@pytest.mark.parametrize("stop", ["stop", "abort"])
@pytest.mark.parametrize("action", STARTS)
async def test_a_stop_while_the_number_is_reserved(action: str, stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as world:
        while_reserving(world, monkeypatch, lambda: world.ask(stop))
        assert await why_not(world, action) in ("stopped", "wrong_state")
        await nothing_records(world)


@pytest.mark.parametrize("stop", ["stop", "abort"])
async def test_a_stop_between_two_runs_of_a_sequence_ends_it(stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as world:
        await world.does("sequence", **STARTS["sequence"])
        await world.until(lambda: any(order.action is Action.START for order in world.orders))
        while_reserving(world, monkeypatch, lambda: world.ask(stop))
        await world.clock.advance(60)
        ends = [run.end for run in reversed(await world.runs())]
        assert ends[:2] == [RunEnd.STOPPED, RunEnd.LIMIT]
        assert set(ends[2:]) <= {RunEnd.NEVER_STARTED}
        (over,) = [event for event in await world.events() if event.action == "sequence_over"]
        assert "stopped, 1 of 2 runs" in over.message or "stopped, 2 of 2 runs" in over.message
        state = await world.partition()
        assert state
        assert state.run == 0


async def test_a_new_owner_goes_on_with_a_start_that_is_permitted() -> None:
    async with room() as world:
        assert (await world.does("abort")).kind is EventKind.DONE
        world.begin_runs("second")
        assert (await world.ask("goal", state="Recording")).accepted
        await world.until(lambda: any(order.action is Action.CONFIGURE for order in world.orders))
        await world.kill("runs")
        await world.reaches("Recording")
