"""Stop and abort always reach the systems, and each command is told with the end that it had."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from countingroom.core import subjects
from countingroom.core.messages import Event, EventKind, encode
from countingroom.core.run_book import RunEnd
from countingroom.runs.description import RunsSection
from countingroom.runs.owner_messages import Hold
from countingroom.runs.sections.template import TemplateSection
from tests.scenario.experiment import World, description, experiment


def without_template(section: RunsSection) -> RunsSection:
    """The same description after its template was removed; it has another one."""
    return section.model_copy(update={"templates": {}, "partitions": {}})


@asynccontextmanager
async def unexplained(state: str) -> AsyncIterator[World]:
    """A partition in this state, whose template the description of the next process no longer has."""
    async with experiment() as world:
        await world.does("configure_all")
        if state == "Recording":
            await world.does("start")
            await world.reaches("Recording")
        await world.end("runs")
        world.section = without_template(world.section)
        world.begin_runs("second")
        await world.until(lambda: _is_owned(world))
        yield world


async def _is_owned(world: World) -> bool:
    shown = await world.partition()
    return shown is not None and shown.owner.startswith("second")


async def test_a_partition_without_template_is_shown_with_the_reason_and_disturbs_no_run() -> None:
    async with unexplained("Recording") as world:
        before = len(world.orders)
        await world.clock.advance(10)
        shown = await world.partition()
        assert shown is not None
        assert (shown.state, shown.run, len(world.orders)) == ("Recording", 1, before)
        assert shown.cause is not None
        assert "no template cbm" in shown.cause.message
        assert {name for name, cause in shown.refusals.items() if cause is None} >= {"stop", "abort"}
        refused = await world.ask("configure_all")
        assert refused.cause is not None
        assert refused.cause.code == "no_template"
        assert any(event.cause and event.cause.code == "no_template" for event in await world.events())


@pytest.mark.parametrize(("action", "end"), [("stop", RunEnd.STOPPED), ("abort", RunEnd.ABORTED)])
async def test_a_run_whose_template_is_gone_is_stopped_and_its_partition_deleted(action: str, end: RunEnd) -> None:
    async with unexplained("Recording") as world:
        assert (await world.does(action)).kind is EventKind.DONE
        assert [run.end for run in await world.runs()] == [end]
        states = [await world.system(name, "A") for name in ("FLES", "QA")]
        assert {state.common for state in states if state} == {"Active" if action == "stop" else "Unconfigured"}
        deleted = await world.does("delete_partition", "_experiment", name="A", force=True)
        assert deleted.kind is EventKind.DONE
        assert await world.database.partitions.list() == ()


async def test_systems_of_a_partition_without_template_are_aborted_also_without_a_run() -> None:
    async with unexplained("QA_Active") as world:
        assert (await world.does("abort")).kind is EventKind.DONE
        for name in ("TFC", "FLES", "DCS", "QA"):
            state = await world.system(name, "A")
            assert state is not None
            assert state.common == "Unconfigured"
        for name in ("STS", "MVD"):
            state = await world.system(name)
            assert state is not None
            assert state.common == "Unconfigured"


def without_recorder(section: RunsSection, name: str, *, also_member: bool) -> RunsSection:
    """The same description after a recorder was removed from its template; `also_member`: from the levels too."""
    cbm = section.templates["cbm"].model_dump(by_alias=True)
    cbm["recorders"] = [one for one in cbm["recorders"] if one != name]
    if cbm.get("stop_order"):
        cbm["stop_order"] = [one for one in cbm["stop_order"] if one != name]
    if also_member:
        for level in cbm["levels"]:
            level["members"] = [one for one in level["members"] if one != name]
        cbm["levels"] = [level for level in cbm["levels"] if level["members"]]
    return section.model_copy(update={"templates": {"cbm": TemplateSection.model_validate(cbm)}})


@pytest.mark.parametrize("also_member", [False, True])
@pytest.mark.parametrize(
    ("action", "end", "common"),
    [("stop", RunEnd.STOPPED, "Active"), ("abort", RunEnd.ABORTED, "Unconfigured")],
)
async def test_stop_and_abort_reach_a_recorder_that_its_template_no_longer_has(
    action: str, end: RunEnd, common: str, also_member: bool
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await world.end("runs")
        world.section = without_recorder(world.section, "FLES", also_member=also_member)
        world.begin_runs("second")
        await world.until(lambda: _is_owned(world))
        await world.clock.advance(5)
        shown = await world.partition()
        assert shown is not None
        assert (shown.state, shown.run) == ("Recording", 1)  # the run goes on
        assert any("FLES records in A, but is no recorder" in event.message for event in await world.events())
        assert (await world.does(action)).kind is EventKind.DONE
        assert [run.end for run in await world.runs()] == [end]
        for name in ("FLES", "QA"):
            state = await world.system(name, "A")
            assert state is not None
            assert state.common == common, name
        await world.clock.advance(5)
        await world.does("configure_all")
        assert (await world.does("start")).kind is EventKind.DONE  # the next run needs it no more
        state = await world.system("FLES", "A")
        assert state is not None
        assert state.common != "Recording"


def with_hook(told: Path) -> RunsSection:
    """Recorders that need 2 s to stop, and a hook before it that adds a line to a file."""
    plain = description({"kind": "simulated", "stop": "2 s"})
    cbm = plain.templates["cbm"].model_dump(by_alias=True)
    program = "import sys; open(sys.argv[1], 'a').write('run\\n')"
    cbm["hooks"] = {"farewell": {"command": [sys.executable, "-c", program, str(told)], "trigger": "before stop"}}
    return plain.model_copy(update={"templates": {"cbm": TemplateSection.model_validate(cbm)}})


async def test_stop_pressed_four_times_is_done_four_times_and_its_hook_runs_once(tmp_path: Path) -> None:
    users = ("anna", "ben", "anna", "carl")
    async with experiment(with_hook(tmp_path / "told")) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        replies = [await world.ask("stop", by=user) for user in users]
        assert all(reply.accepted for reply in replies)
        while not (tmp_path / "told").exists():  # a real program takes real time
            await asyncio.sleep(0.01)
        ids = [reply.id for reply in replies]

        async def ends() -> dict[str, Event]:
            kinds = (EventKind.DONE, EventKind.FAILED)
            return {e.command_id: e for e in await world.events() if e.command_id in ids and e.kind in kinds}

        async def are_over() -> bool:
            await asyncio.sleep(0.01)
            return len(await ends()) == len(ids)

        await world.until(are_over)
        found = await ends()
        assert [(found[id].kind, found[id].principal, found[id].action) for id in ids] == [
            (EventKind.DONE, user, "stop") for user in users
        ]
        (run,) = await world.runs()
        assert (run.end, run.ended_by) == (RunEnd.STOPPED, "anna")
        assert (tmp_path / "told").read_text() == "run\n"


async def test_an_abort_is_done_while_the_stop_of_a_recorder_hangs() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await world.say("QA", "fault", name="hang", partition="A")
        await world.ask("stop")
        await world.clock.advance(1)
        before_ns = world.clock.now_ns()
        assert (await world.does("abort")).kind is EventKind.DONE
        assert world.clock.now_ns() - before_ns < 2_000_000_000
        state = await world.system("QA", "A")
        assert state is not None
        assert state.common == "Unconfigured"


async def test_a_lock_by_a_person_stands_against_neither_stop_nor_abort() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.does("lock")
        assert (await world.ask("configure")).cause.code == "locked"
        assert (await world.does("stop")).kind is EventKind.DONE
        await world.reaches("QA_Active")
        assert (await world.does("abort")).kind is EventKind.DONE
        await world.reaches("Idle")


async def test_a_move_that_holds_a_partition_stands_against_no_abort() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        hold = Hold(id="move", until_ns=world.clock.now_ns() + 15_000_000_000)
        await world.bus.request(subjects.owner("A"), encode(hold), timeout_s=1.0)
        assert (await world.ask("configure")).cause.code == "locked"
        assert (await world.does("abort")).kind is EventKind.DONE
        await world.reaches("Idle")
