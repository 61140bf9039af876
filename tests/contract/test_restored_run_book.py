"""On every database that is restored from a backup: the highest run number that was ever seen wins, and it is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from countingroom.storage.run_tables import run as run_table
from countingroom.storage.run_tables import run_counter
from tests.contract.storage.stand import Stand
from tests.scenario.experiment import World, description, experiment


def restore(world: World) -> None:
    """Put the run book back to a time before its first run."""
    with world.database._store._engine.begin() as connection:
        connection.execute(run_table.delete())
        connection.execute(run_counter.update().values(last=0))


async def take_run(world: World) -> None:
    await world.does("configure_all")
    await world.does("start")
    await world.does("stop")


async def check(world: World, *numbers: int) -> None:
    assert [run.number for run in await world.runs()] == list(numbers)


@pytest.mark.parametrize("known_by", ["bus", "agents", "folder"])
async def test_a_number_is_not_used_again_after_everything_was_started_anew(
    shared_stand: Stand, tmp_path: Path, known_by: str
) -> None:
    async with experiment(world=(world := World(description(), shared_stand.url, tmp_path))):
        await world.database.runs.skip_to(7)
        await take_run(world)
        await take_run(world)
        await check(world, 8, 7)
        restore(world)
        if known_by == "bus":  # the agents of the experiment go on and are at rest
            await take_run(world)
            await check(world, 9)
            return
    if known_by == "agents":
        (tmp_path / "highest-run").unlink()
    else:
        shutil.rmtree(tmp_path / "agents")
    async with experiment(world=(later := World(description(), shared_stand.url, tmp_path))):
        await take_run(later)
        await check(later, 9)
        told = [event.message for event in await later.events() if event.action == "set_next_run"]
        assert told == ["the run book ends with run 0, but run 8 was seen: the next run is 9"]
