"""The owner of a partition is killed at each order, report, published state, event and transaction: the next owner
goes on within 2 s, with the right state, without an effect on a system, and without a lost run."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from msgspec import Struct

from countingroom.core.messages import EventKind
from countingroom.core.run_book import Run, RunEnd
from countingroom.core.systems import Order
from countingroom.core.values import Scalar
from tests.scenario.experiment import description, experiment
from tests.scenario.mortal import MortalWorld

RIGHT_S = 2.0
RESTS = ("Idle", "TFC_Active", "Detectors_Active", "FLES_and_DCS_Active", "QA_Active", "Recording")
OVER = (EventKind.DONE, EventKind.FAILED)
PASSING = ("Configuring_TFC", "Configuring_Detectors", "Configuring_FLES_and_DCS", "Configuring_QA")
TAG = dict.fromkeys(("TFC", "STS", "MVD", "FLES", "DCS", "QA"), "physics")
ENDS = {"stop": {RunEnd.STOPPED, RunEnd.OWNER_DIED}, "abort": {RunEnd.ABORTED, RunEnd.OWNER_DIED}}


class Transition(Struct, frozen=True, kw_only=True):
    """What is asked for, where, and where it leads."""

    first: str
    action: str
    last: str
    arguments: dict[str, Scalar] = {}


TRANSITIONS = (
    Transition(first="Idle", action="configure_all", last="QA_Active"),
    Transition(first="QA_Active", action="start", last="Recording"),
    Transition(first="Idle", action="goal", last="Recording", arguments={"state": "Recording"}),
    Transition(first="Recording", action="stop", last="QA_Active"),
    Transition(first="QA_Active", action="goal", last="QA_Active", arguments={"state": "QA_Active", "tag": "other"}),
    *(Transition(first=rest, action="abort", last="Idle") for rest in (*RESTS[1:], *PASSING)),
)


def world() -> MortalWorld:
    return MortalWorld(description({"kind": "simulated", "configure": "200 ms", "start": "200 ms", "stop": "200 ms"}))


async def begin(world: MortalWorld) -> None:
    await world.database.tags.save("other", TAG | {"STS": "tests"}, "anna")
    world.watch()
    await stand_by(world)


async def stand_by(world: MortalWorld) -> None:
    """Another process, which has heard every agent."""
    world.begin_runs()
    await world.clock.advance(1.2)


async def go(world: MortalWorld, action: str, state: str, /, **arguments: Scalar) -> None:
    reply = await world.ask(action, **arguments)
    assert reply.accepted, str(reply.cause)
    await world.reaches(state)


async def climb(world: MortalWorld, state: str) -> None:
    """Bring it from anywhere to a state of rest, as configured at first."""
    if not await world.is_in("Idle"):
        await go(world, "abort", "Idle")
    if (shown := await world.partition()) and shown.tag != "physics-A":
        await world.ask("select", tag="physics-A")
    if state in PASSING:
        assert (await world.ask("configure_all")).accepted
        await world.until(lambda: _passes(world, state), step=0.01)
    elif state != "Idle":
        await go(world, "goal", state, state=state)


async def _passes(world: MortalWorld, state: str) -> bool:
    shown = await world.partition()
    return shown is not None and shown.state == state


async def taken_over(world: MortalWorld) -> float:
    """Seconds from the death to a new owner that is right."""
    assert world.died_s is not None
    await world.until(world.is_right, seconds=10.0)
    return world.clock.monotonic() - world.died_s


async def unflagged(world: MortalWorld) -> list[Run]:
    """The run book without the flag that tells of the death."""
    return [msgspec.structs.replace(run, flags=()) for run in await world.runs()]


async def test_dead_at_rest_in_any_state_it_is_owned_again_and_nobody_got_an_order() -> None:
    async with experiment(world=(mortal := world())):
        await begin(mortal)
        for state in RESTS:
            await climb(mortal, state)
            book = await unflagged(mortal)
            mortal.begin_anew(None)
            mortal.strike()
            assert await taken_over(mortal) <= RIGHT_S, state
            await mortal.bury()
            await stand_by(mortal)
            assert await mortal.is_in(state)
            assert (mortal.given, mortal.ways, await unflagged(mortal)) == ([], {}, book), state
        (run,) = await mortal.runs()
        assert [flag.subject for flag in run.flags] == ["owner"]


@pytest.mark.parametrize("way", TRANSITIONS, ids=lambda way: f"{way.action} from {way.first} to {way.last}")
async def test_dead_at_any_moment_of_a_transition_it_is_gone_on_with(way: Transition) -> None:
    async with experiment(world=(mortal := world())):
        await begin(mortal)
        undisturbed = await lived_through(mortal, way)
        assert {"order", "picture", "event"} <= {moment.split()[0] for moment in mortal.moments}
        fatal = 1
        while await died_through(mortal, way, fatal, undisturbed):
            fatal += 1
        assert len(mortal.moments) == fatal - 1, "each moment had its death"
        mortal.begin_anew(None)  # the end of the experiment is no moment to die


async def lived_through(world: MortalWorld, way: Transition) -> dict[str, list[str]]:
    """The ways of all systems when nobody dies."""
    await climb(world, way.first)
    world.begin_anew(None)
    await go(world, way.action, way.last, **way.arguments)
    await world.clock.advance(0.5)
    return {key: list(way) for key, way in world.ways.items()}


async def died_through(world: MortalWorld, way: Transition, fatal: int, undisturbed: dict[str, list[str]]) -> bool:
    """Let the owner die at this moment; False when all is over before it comes."""
    await climb(world, way.first)
    book = len(await world.runs())
    world.begin_anew(fatal)
    asked = world.give(way.action, **way.arguments)
    await world.until(lambda: world.died_s is not None or _is_over(world, way, asked))
    if world.died_s is None:
        await world.clock.advance(0.5)
    if world.died_s is None:
        return False
    where = f"moment {fatal}, {world.moments[fatal - 1]}"
    took = await taken_over(world)
    assert took <= RIGHT_S, f"{where}: {took:.2f} s"
    await world.bury()
    await stand_by(world)
    if asked in world.wanted:
        await world.reaches(way.last)
        assert way.first in PASSING or world.ways == undisturbed, where
    elif way.first in PASSING:
        await world.reaches("QA_Active")  # what was wanted before is gone on with
    else:
        assert (world.given, world.ways) == ([], {}), where
        assert "tag" in way.arguments or await world.is_in(way.first), where  # a tag may be selected already
    await world.clock.advance(0.5)
    twice = [one for one, times in Counter(map(_meant, world.given)).items() if times > 1]
    assert not twice, f"{where}: {twice}"
    ends = [event.kind for event in await world.events() if event.command_id == asked and event.kind in OVER]
    assert ends == ([EventKind.DONE] if asked in world.wanted else []), f"{where}: {ends}"
    await check_book(world, way, where, book)
    return True


async def check_book(world: MortalWorld, way: Transition, where: str, book: int) -> None:
    """No number is used twice or left out, and what does not record is closed. There were so many runs before."""
    runs = sorted(await world.runs(), key=lambda run: run.number)
    assert [run.number for run in runs] == list(range(1, len(runs) + 1)), where
    shown = await world.partition()
    assert shown is not None
    still = [run.number for run in runs if run.end is None]
    assert still == ([shown.run] if shown.state == "Recording" else []), f"{where}: {still} {shown.run}"
    if still:
        assert runs[-1].number == shown.run and runs[-1].started_ns is not None, where
    if len(runs) > book and not still:
        assert runs[-1].end in (RunEnd.NEVER_STARTED, RunEnd.OWNER_DIED), where
    if way.first == "Recording" and not still:
        assert runs[-1].end in ENDS[way.action], f"{where}: {runs[-1].end}"


async def _is_over(world: MortalWorld, way: Transition, asked: str) -> bool:
    return asked in world.wanted and await world.is_in(way.last)


def _meant(given: tuple[str, Order]) -> tuple[str, ...]:
    system, order = given
    return system, order.action.value, order.key, str(order.run)
