"""Wall clocks that step or differ disturb no order and no run, and are told."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.messages import EventKind, encode
from countingroom.core.run_book import RunEnd
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.owner_messages import Hold
from tests.scenario.experiment import World, description, experiment


class Ahead:
    """A clock whose wall time is ahead of another one by so many seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ahead_ns = round(seconds * 1e9)

    def now_ns(self) -> int:
        return self._clock.now_ns() + self._ahead_ns

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


async def told(world: World, word: str) -> list[str]:
    return [event.message for event in await world.events("_experiment") if word in event.message]


@pytest.mark.parametrize("ahead_s", [30.0, -30.0])
async def test_agents_whose_clock_differs_obey_and_the_difference_is_told(ahead_s: float) -> None:
    section = description({"kind": "simulated", "configure": "3 s"})
    async with experiment(section, agents=False) as world:
        world.begin("agents", AgentHost(world.connect, Ahead(world.clock, ahead_s), section).run)
        await world.clock.advance(5)
        assert (await world.does("configure_all")).kind is EventKind.DONE
        assert (await world.does("start")).kind is EventKind.DONE
        assert (await world.does("stop")).kind is EventKind.DONE
        assert (await world.does("abort")).kind is EventKind.DONE
        words = "30.0 s ahead of" if ahead_s > 0 else "30.0 s behind"
        (message,) = await told(world, "the clock of")
        assert words in message


async def test_a_step_that_hangs_ends_at_its_deadline_though_the_clock_of_its_agent_is_behind() -> None:
    section = description()
    async with experiment(section, agents=False) as world:
        world.begin("agents", AgentHost(world.connect, Ahead(world.clock, -3600.0), section).run)
        await world.clock.advance(5)
        await world.say("TFC", "fault", name="hang", partition="A")
        assert (await world.does("configure_all")).kind is EventKind.FAILED
        state = await world.system("TFC", "A")
        assert state is not None
        assert state.common != "Configuring"


@pytest.mark.parametrize("step_s", [120.0, -120.0])
async def test_a_step_of_the_clock_fails_no_configuring(step_s: float) -> None:
    async with experiment(description({"kind": "simulated", "configure": "3 s"})) as world:
        reply = await world.ask("configure_all")
        await world.clock.advance(2)
        world.clock.step(step_s)
        await world.reaches("QA_Active", seconds=60)
        assert [event.kind for event in await world.events() if event.command_id == reply.id][-1] is EventKind.DONE
        (message,) = await told(world, "was set")
        assert f"{step_s:+.1f} s" in message


async def test_a_run_over_a_step_of_the_clock_is_booked_with_the_time_that_passed() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.clock.advance(20)
        world.clock.step(3600.0)
        await world.clock.advance(7)
        await world.does("stop")
        (run,) = await world.runs()
        assert run.duration_s == pytest.approx(27, abs=1)
        assert run.lasted_s() == run.duration_s
        assert run.started_ns
        assert run.ended_ns
        assert (run.ended_ns - run.started_ns) / 1e9 == pytest.approx(3627, abs=1)


async def test_the_time_limit_of_a_run_counts_the_time_that_passed() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start", seconds=30)
        await world.clock.advance(5)
        world.clock.step(3600.0)
        await world.clock.advance(5)
        assert [run.end for run in await world.runs()] == [None]
        await world.reaches("QA_Active")
        (run,) = await world.runs()
        assert run.end is RunEnd.LIMIT
        assert run.duration_s == pytest.approx(30, abs=1)


async def test_a_run_goes_on_under_the_next_owner_with_the_time_that_passed_before() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.clock.advance(20)
        await world.kill("runs")
        world.begin_runs("second")
        await world.clock.advance(5)
        world.clock.step(-600.0)
        await world.clock.advance(5)
        await world.does("stop")
        (run,) = await world.runs()
        assert run.duration_s == pytest.approx(30, abs=2)


async def test_a_hold_is_over_after_its_time_though_the_clock_of_its_sender_is_ahead() -> None:
    async with experiment() as world:
        ahead_ns = world.clock.now_ns() + 3_600_000_000_000
        hold = Hold(id="move", until_ns=ahead_ns, for_s=15.0)
        await world.bus.request(subjects.owner("A"), encode(hold), timeout_s=1.0)
        refused = await world.ask("configure")
        assert refused.cause is not None
        assert refused.cause.code == "locked"
        await world.clock.advance(16)
        assert (await world.ask("configure")).accepted


async def test_no_hold_lasts_for_ever_whatever_its_sender_asks_for() -> None:
    async with experiment() as world:
        hold = Hold(id="move", until_ns=1 << 62, for_s=1e9)
        await world.bus.request(subjects.owner("A"), encode(hold), timeout_s=1.0)
        await world.clock.advance(61)
        assert (await world.ask("configure")).accepted


async def test_commands_to_a_safe_state_are_taken_from_a_computer_whose_clock_is_behind() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        world.clock.step(-60.0)
        asking = asyncio.create_task(world.ask("stop"))
        await asyncio.sleep(0)
        world.clock.step(60.0)
        assert (await asking).accepted
