"""Templates whose recorders are groups: the members of the groups stay known from one run to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from countingroom.core import subjects
from countingroom.core.messages import EventKind, encode
from countingroom.core.run_book import RunEnd
from countingroom.core.run_queries import MoveAnswer, MoveQuery
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import DETECTORS, GLOBALS, World, description, experiment


def all_record() -> RunsSection:
    """Every member takes data."""
    plain = description().model_dump(mode="json", by_alias=True, exclude_unset=True)
    template = RunsSection.model_validate({}).templates["cbm"].model_dump(mode="json", by_alias=True)
    template |= {"recorders": ["all", "TFC"], "stop_order": ["TFC", "all"]}
    return RunsSection.model_validate({**plain, "templates": {"cbm": template}})


async def is_over(world: World) -> bool:
    return all(run.end for run in await world.runs())


async def never(_partition: str) -> Mapping[str, object]:
    """The answer of a database that does not answer."""
    await asyncio.Event().wait()
    return {}


async def test_a_run_right_after_another_is_recorded_by_every_member_of_a_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with experiment(all_record()) as world:
        await world.does("configure_all")
        await world.does("start")
        # What the partition reads of the database after a run has no part in the next one.
        monkeypatch.setattr(world.database.partitions, "wanted", never)
        await world.does("stop")
        assert (await world.does("start")).kind is EventKind.DONE
        every = [await world.system(name, "" if name in DETECTORS else "A") for name in (*GLOBALS, "STS", "MVD")]
        assert [(one.common, one.run) for one in every if one] == [("Recording", 2)] * 6


async def test_after_a_takeover_the_members_of_a_group_are_recorders_and_no_former_ones() -> None:
    async with experiment(all_record()) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await world.kill("runs")
        world.begin_runs("second")
        await world.clock.advance(10)
        await world.reaches("Recording")
        assert not [event.message for event in await world.events() if "is no recorder" in event.message]
        # A needed recorder that leaves the run ends it, whoever owns the partition.
        await world.say("FLES", "fault", name="error", partition="A")
        await world.until(lambda: is_over(world))
        assert [run.end for run in await world.runs()] == [RunEnd.LOST]


async def test_a_move_tells_that_a_run_of_a_group_goes_on_in_its_state() -> None:
    async with experiment(all_record()) as world:
        await world.does("configure_all")
        await world.does("start")
        question = encode(MoveQuery(detectors=("MVD",), to=""))
        message = await world.bus.request(subjects.query("runs", "move"), question, timeout_s=5.0)
        answer = msgspec.msgpack.decode(message.data, type=MoveAnswer)
        assert [(one.before, one.after) for one in answer.effects] == [("Recording", "Recording")]
