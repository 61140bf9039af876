"""Law: what people say of a run, who was in it, and the programs on its way are told as they were."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from countingroom.core.messages import EventKind
from countingroom.core.run_book import RunEnd
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import World, description, experiment


async def test_comments_flags_and_who_was_included_are_in_the_run() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start", comment="first beam")
        await world.does("comment", text="the beam is stable")
        await world.does("exclude", system="MVD")
        await world.does("stop")
        await world.reaches("QA_Active")
        await world.does("flag", run=1, quality="good")
        await world.does("comment", run=1, text="see also run 2")
        (run,) = await world.runs()
        said = [(note.kind, note.text) for note in run.notes]
        assert said[:2] == [("comment", "first beam"), ("comment", "the beam is stable")]
        assert ("exclude", "MVD is excluded") in said and said[-1] == ("comment", "see also run 2")
        assert (run.quality, run.end) == ("good", RunEnd.STOPPED)
        assert "MVD" in run.members


async def test_the_last_run_is_repeated_with_its_limit() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start", seconds=3)
        await world.reaches("QA_Active")
        await world.does("repeat")
        await world.until(lambda: _ended(world, 2))
        last, first = await world.runs()
        assert (last.limit, last.end) == (first.limit, RunEnd.LIMIT)


def slowed(world: World, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The same, where the disk takes its time."""

    async def slow(*args: Any, **named: Any) -> Any:
        await world.clock.sleep(1.0)
        return await work(*args, **named)

    return slow


async def test_a_run_that_follows_at_once_waits_until_the_end_of_the_last_one_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        monkeypatch.setattr(world.database.runs, "close", slowed(world, world.database.runs.close))
        await world.does("stop")
        assert (await world.does("start")).kind is EventKind.DONE
        second, first = await world.runs()
        assert (first.end, second.end) == (RunEnd.STOPPED, None)


async def test_a_run_is_given_back_where_its_detectors_are_moved_while_it_gets_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        monkeypatch.setattr(world.database.runs, "reserve", slowed(world, world.database.runs.reserve))
        monkeypatch.setattr(world.database.mapping, "move", slowed(world, slowed(world, world.database.mapping.move)))
        starting = asyncio.create_task(world.ask("start"))
        assert (await world.does("move", "_experiment", detectors="STS", to="")).kind is EventKind.DONE
        refused = await starting
        assert refused.cause and refused.cause.code == "locked"
        await world.until(lambda: _ended(world, 1))
        (run,) = await world.runs()
        assert run.end is RunEnd.NEVER_STARTED and run.cause and run.cause.code == "locked"
        assert not [order for order in world.orders if order.action == "start"]


async def test_a_locked_partition_takes_no_commands_until_it_is_unlocked_also_from_the_next_owner() -> None:
    async with experiment() as world:
        world.begin_runs("second")
        await world.does("lock")
        await world.kill("runs")
        await world.clock.advance(4)
        refused = await world.ask("configure")
        assert refused.cause and refused.cause.code == "locked"
        await world.does("unlock")
        assert (await world.does("configure")).kind is EventKind.DONE


async def test_a_sequence_that_is_stopped_takes_no_further_value() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("sequence", system="STS", parameter="threshold", values="1,2,3", seconds=20, name="scan")
        await world.until(lambda: _records(world))
        await world.does("stop_sequence")
        await world.reaches("QA_Active")
        await world.clock.advance(30)
        assert [run.end for run in await world.runs()] == [RunEnd.STOPPED]


def hooked(tmp_path: Path, program: str, *, critical: bool = True) -> RunsSection:
    """CBM with a hook before the detectors are configured."""
    plain = description()
    cbm = plain.templates["cbm"].model_dump(by_alias=True)
    cbm["hooks"] = {
        "look": {
            "command": [sys.executable, "-c", program, "{partition}", "{goal}", str(tmp_path / "told")],
            "trigger": "before configure Detectors",
            "critical": critical,
        }
    }
    return RunsSection.model_validate({**plain.model_dump(), "templates": {"cbm": cbm}})


TELL = "import sys; open(sys.argv[3], 'a').write(' '.join(sys.argv[1:3]) + '\\n')"


async def _let_programs_end(world: World) -> None:
    """Programs take real time: give some of it to every step of ours."""
    for _ in range(200):
        await asyncio.sleep(0.02)
        await world.clock.advance(0.05)
        shown = await world.partition()
        if shown and shown.goal is None:
            return


@pytest.mark.parametrize(("critical", "state"), [(True, "TFC_Active"), (False, "QA_Active")])
async def test_a_hook_that_fails_ends_the_way_only_where_it_is_critical(
    tmp_path: Path, critical: bool, state: str
) -> None:
    async with experiment(hooked(tmp_path, "raise SystemExit('no gas')", critical=critical)) as world:
        reply = await world.ask("configure_all")
        await _let_programs_end(world)
        shown = await world.reaches(state)
        end = [e for e in await world.events() if e.command_id == reply.id][-1]
        assert end.kind is (EventKind.FAILED if critical else EventKind.DONE)
        if critical:
            assert end.cause and "no gas" in str(end.cause)
        assert shown.state == state


async def test_a_hook_is_told_what_it_is_run_for(tmp_path: Path) -> None:
    async with experiment(hooked(tmp_path, TELL)) as world:
        await world.ask("configure_all")
        await _let_programs_end(world)
        await world.reaches("QA_Active")
        assert (tmp_path / "told").read_text() == "A QA_Active\n"


async def _ended(world: World, number: int) -> bool:
    return any(run.number == number and run.end for run in await world.runs())


async def _records(world: World) -> bool:
    shown = await world.partition()
    return shown is not None and shown.state == "Recording"
