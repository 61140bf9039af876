"""Comments of a run, its members, and its hook programs are recorded as they were."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from countingroom.core.errors import LinkError
from countingroom.core.messages import Event, EventKind
from countingroom.core.placement import Wanted
from countingroom.core.run_book import Run, RunEnd
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import World, description, experiment
from tests.scenario.real_programs import programs_until


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


async def test_a_number_that_the_database_gave_out_without_saying_so_holds_up_no_other_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        reserve, silent = world.database.runs.reserve, [True]

        async def unheard(*args: Any, **named: Any) -> Run:
            run = await reserve(*args, **named)
            if silent and silent.pop():
                raise LinkError("the database did not answer in time", code="no_answer", source="storage")
            return run

        monkeypatch.setattr(world.database.runs, "reserve", unheard)
        assert not (await world.ask("start")).accepted
        assert (await world.does("start")).kind is EventKind.DONE
        second, first = await world.runs()
        assert (first.number, first.end, second.number, second.end) == (1, RunEnd.NEVER_STARTED, 2, None)
        refused = await world.ask("start")
        assert refused.cause and refused.cause.code == "run_open"


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


async def over(world: World) -> Event | None:
    """The event of the end of the sequence."""
    return next((event for event in await world.events() if event.action == "sequence_over"), None)


async def test_a_sequence_whose_run_does_not_start_ends_says_where_and_puts_the_configuration_back() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("sequence", system="STS", parameter="threshold", values="1,2,3", seconds=5, name="scan")
        await world.until(lambda: _records(world))
        await world.say("FLES", "fault", name="fail", partition="A", times=9)
        await world.until(lambda: over(world), seconds=120)
        event = await over(world)
        assert event and event.cause and event.cause.code == "run_failed"
        last = (await world.runs())[0]
        reached = len(await world.runs())
        assert last.end is RunEnd.NEVER_STARTED
        assert (
            event.message
            == f"sequence scan ended: failed at value {reached} of 3: run {last.number} ended: never started"
        )

        async def is_back() -> bool:
            shown = await world.partition()
            return shown is not None and shown.tag == "physics-A"

        await world.until(is_back)


async def test_what_is_asked_for_during_a_sequence_is_refused_and_does_not_disturb_it() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        scan: dict[str, Any] = {"system": "STS", "parameter": "threshold", "seconds": 5}
        await world.does("sequence", values="1,2", name="scan", **scan)
        await world.until(lambda: _records(world))
        for action, arguments in (("start", {}), ("sequence", {**scan, "values": "8,9", "name": "other"})):
            refused = await world.ask(action, **arguments)
            assert refused.cause and refused.cause.code in ("run_open", "sequence_open"), refused.cause
        await world.until(lambda: over(world), seconds=120)
        event = await over(world)
        assert event and event.message == "sequence scan ended: finished, 2 of 2 runs"
        assert [(run.sequence, run.end) for run in await world.runs()] == [("scan", RunEnd.LIMIT)] * 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "tests"}, "STS has a configuration tests"),
        ({"parameter": "treshold"}, "did you mean threshold?"),
        ({"values": "1,nan"}, "not finite"),
        ({"values": "1e999"}, "not finite"),
        ({"seconds": 0}, "seconds"),
        ({"system": "TRD"}, "no configuration is selected for TRD"),
    ],
)
async def test_a_sequence_that_cannot_be_meant_is_refused_before_anything_is_saved(
    wrong: dict[str, Any], told: str
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        before = await world.database.configurations.list("STS")
        meant: dict[str, Any] = {
            "system": "STS",
            "parameter": "threshold",
            "values": "1,2",
            "seconds": 3,
            "name": "scan",
        }
        refused = await world.ask("sequence", **(meant | wrong))
        assert refused.cause and told in refused.cause.message and refused.cause.suggestion
        assert await world.database.configurations.list("STS") == before


async def test_the_values_of_a_sequence_are_numbers_truths_and_texts() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does(
            "sequence", system="STS", parameter="threshold", values="1, 0.5,true,low", seconds=1, name="scan"
        )
        await world.until(lambda: _sequence_over(world), seconds=60)
        taken = [run.configurations["STS"].parameters["threshold"] for run in await world.runs()]
        assert taken == ["low", True, 0.5, 1]


async def test_a_sequence_goes_on_where_somebody_selects_otherwise_between_two_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        partitions, select, hand = world.database.partitions, world.database.partitions.select, ["ben"]

        async def both(name: str, tag: str, systems: Mapping[str, str], by: str) -> Wanted:
            found = await select(name, tag, systems, by)
            return await select(name, tag, {**systems, "STS": "tests"}, hand.pop()) if hand else found

        await world.does("sequence", system="STS", parameter="threshold", values="1,2", seconds=1, name="scan")
        monkeypatch.setattr(partitions, "select", both)
        await world.until(lambda: _sequence_over(world), seconds=60)
        assert [run.end for run in await world.runs()] == [RunEnd.LIMIT] * 2


async def test_a_sequence_whose_system_is_moved_out_ends_and_another_can_begin() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("sequence", system="STS", parameter="threshold", values="1,2", seconds=9, name="scan")
        await world.until(lambda: _records(world))
        await world.does("move", "_experiment", detectors="STS", to="", force=True)
        await world.until(lambda: _sequence_over(world), seconds=60)
        assert all(run.end for run in await world.runs())
        await world.does("configure_all")
        assert (
            await world.does("sequence", system="MVD", parameter="threshold", values="1", seconds=1, name="other")
        ).kind is EventKind.DONE


async def test_a_sequence_stopped_while_its_next_run_gets_its_number_leaves_none_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        monkeypatch.setattr(world.database.sequences, "advance", slowed(world, world.database.sequences.advance))
        await world.does("sequence", system="STS", parameter="threshold", values="1,2", seconds=1, name="scan")
        await world.until(world.runs, step=0.01)
        await world.does("stop_sequence")
        await world.until(lambda: _ended(world, 1))
        assert [run.end for run in await world.runs()] == [RunEnd.NEVER_STARTED]
        assert (await world.does("configure_all")).kind is EventKind.DONE
        assert (await world.does("start")).kind is EventKind.DONE


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
    async def are_over() -> bool:
        shown = await world.partition()
        return shown is not None and shown.goal is None

    await programs_until(world, are_over)


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


LEAVE = "import subprocess; subprocess.Popen(['sleep', '20'])"


async def test_what_a_hook_leaves_behind_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with experiment(hooked(tmp_path, LEAVE)) as world:
        reply = await world.ask("configure_all")
        await _let_programs_end(world)
        await world.reaches("QA_Active")
        end = [e for e in await world.events() if e.command_id == reply.id][-1]
        assert end.kind is EventKind.DONE


async def _ended(world: World, number: int) -> bool:
    return any(run.number == number and run.end for run in await world.runs())


async def _records(world: World) -> bool:
    shown = await world.partition()
    return shown is not None and shown.state == "Recording"


async def _sequence_over(world: World) -> bool:
    return any(event.action == "sequence_over" for event in await world.events())
