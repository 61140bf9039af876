"""The published charts, types and maps drive real agents and a partition unchanged, row by row of its table."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.core import subjects
from countingroom.core.messages import Command, Reply, decode, encode
from countingroom.core.values import Scalar
from countingroom.runs.description import RunsSection, shipped
from tests.input_files import Tables
from tests.scenario.experiment import GLOBALS, World, experiment

CBM = shipped("cbm").template("cbm")
ROWS = [(row.state, row.event, row.next) for row in CBM.chart().rows]
DETECTORS = ("STS", "MVD")
FIRST = {"TFC": "TFC", "Detectors": "STS", "FLES_and_DCS": "FLES", "QA": "QA"}
"""Who fails where a level is being configured."""
LOST = {"error_TFC": "TFC", "error_Detector": "MVD", "error_FLES_OR_DCS": "DCS", "error_QA": "QA"}


def section(tables: Tables, *, configure_s: float = 0.5) -> RunsSection:
    """CBM with the types of a systems file as they are, each step of configuring taking so long."""
    systems = {
        name: {
            "kind": "global" if name in GLOBALS else "detector",
            "type": {"cfg": str(tables.path(tables.systems)), "section": name},
            "agent": {"kind": "simulated", "configure": configure_s},
        }
        for name in (*GLOBALS, *DETECTORS)
    }
    return RunsSection.model_validate(
        {
            "systems": systems,
            "partitions": {"A": {"detectors": list(DETECTORS), "tag": "physics"}},
            "configurations": {name: {"physics": {}} for name in systems},
            "tags": {"physics": dict.fromkeys(systems, "physics")},
        }
    )


async def fails(world: World, system: str) -> None:
    """A person says that a system failed, in this partition."""
    now_ns = world.clock.now_ns()
    arguments: dict[str, Scalar] = {"message": "smoke"}
    if system in GLOBALS:
        arguments["partition"] = "A"
    command = Command(
        id=f"fault-{next(world.ids)}",
        action="error",
        arguments=arguments,
        issued_ns=now_ns,
        deadline_ns=now_ns + 10**10,
    )
    subject = subjects.command("ann", "systems", system)
    asking = asyncio.create_task(world.bus.request(subject, encode(command), timeout_s=5.0))
    await world.until(asking.done)
    reply = decode((await asking).data, Reply)
    assert reply.accepted, reply.cause


async def bring(world: World, state: str) -> None:
    """Into the state that a row begins with."""
    if state == "Idle":
        return
    level = state.removeprefix("Configuring_")
    goal = f"{level}_Active" if state.startswith("Configuring_") else state
    reply = await world.ask("goal", state="QA_Active" if goal == "Recording" else goal)
    assert reply.accepted, reply.cause

    async def there() -> bool:
        found = await world.partition()
        return found is not None and found.state == state

    if goal == "Recording":
        await world.reaches("QA_Active")
        await world.does("start")
    await world.until(there)


async def act(world: World, state: str, event: str) -> None:
    """What the row is about happens."""
    match event:
        case "configure":
            await world.does("configure")
        case "start_recording":
            await world.does("start")
        case "stop_recording":
            await world.does("stop")
        case "abort":
            await world.does("abort")
        case "failure":
            await fails(world, FIRST[state.removeprefix("Configuring_")])
        case "success":
            pass
        case _:
            await fails(world, LOST[event])


@pytest.mark.parametrize("row", ROWS, ids="-".join)
async def test_every_row_is_gone_by_real_agents(row: tuple[str, str, str], tables: Tables) -> None:
    state, event, following = row
    async with experiment(section(tables)) as world:
        await bring(world, state)
        before = len(await world.moves())
        await act(world, state, event)
        rest = following.replace("Configuring_", "") + "_Active" if event == "configure" else following
        shown = await world.reaches(rest)
        assert (await world.moves())[before] == row
        assert shown.goal is None
        open_runs = [run for run in await world.runs() if run.end is None]
        assert len(open_runs) == (event == "start_recording")
        if event.startswith("error_"):
            assert shown.cause is not None
            assert "smoke" in str(shown.cause)


async def test_two_steps_of_a_detector_are_gone_one_after_the_other(tables: Tables) -> None:
    async with experiment(section(tables)) as world:
        await world.ask("goal", state="Detectors_Active")
        seen: list[str] = []

        async def passed() -> bool:
            found = await world.system("STS")
            if found and found.state not in seen[-1:]:
                seen.append(found.state)
            return seen[-1:] == [tables.ready]

        await world.until(passed)
        assert seen == [tables.off, *tables.steps, tables.ready]
