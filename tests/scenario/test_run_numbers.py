"""A run number is never used again, not even by a database that was restored from a backup."""

from __future__ import annotations

import pytest

from countingroom.core.messages import EventKind
from countingroom.storage.run_tables import run as run_table
from countingroom.storage.run_tables import run_counter
from tests.scenario.experiment import World, experiment


def forget_runs(world: World) -> None:
    """Put the run book back to a time before its first run, as a backup does."""
    with world.database._store._engine.begin() as connection:  # pyright: ignore[reportPrivateUsage]
        connection.execute(run_table.delete())
        connection.execute(run_counter.update().values(last=0))


async def test_a_restored_database_skips_the_numbers_that_systems_were_seen_recording() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.database.runs.skip_to(7)
        await world.does("start")
        await world.does("stop")
        assert [run.number for run in await world.runs()] == [7]
        forget_runs(world)
        await world.does("start")
        assert [run.number for run in await world.runs()] == [8]
        told = [event.message for event in await world.events() if event.action == "set_next_run"]
        assert told == ["the run book ends with run 0, but run 7 was seen: the next run is 8"]


async def test_the_next_number_is_set_by_a_person_and_never_lowered() -> None:
    async with experiment() as world:
        assert (await world.does("set_next_run", "_experiment", number=1000)).kind is EventKind.DONE
        failed = await world.does("set_next_run", "_experiment", number=5)
        assert failed.kind is EventKind.FAILED
        assert failed.cause
        assert failed.cause.message.startswith("the next run is 1000 and stays so")
        await world.does("configure_all")
        await world.does("start")
        assert [run.number for run in await world.runs()] == [1000]


@pytest.mark.parametrize("number", [0, -1, 1.5, 1e300])
async def test_what_is_no_number_of_a_run_is_refused(number: float) -> None:
    async with experiment() as world:
        refused = await world.ask("set_next_run", "_experiment", number=number)
        assert refused.cause
        assert refused.cause.code in ("wrong_argument", "out_of_range")


async def test_a_comment_with_a_nul_is_kept() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.does("comment", text="pressure\0 rises")
        (run,) = await world.runs()
        assert [note.text for note in run.notes] == ["pressure\ufffd rises"]
