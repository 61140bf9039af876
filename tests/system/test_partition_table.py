"""Each row of the published partition table is gone on a real bus as well, by agents each with its connection."""

from __future__ import annotations

import asyncio
from pathlib import Path

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.clock import SystemClock
from countingroom.runs.description import RunsSection
from countingroom.runs.service import RunsService
from countingroom.storage.database import Database
from tests.input_files import OWN
from tests.scenario.experiment import World, experiment
from tests.scenario.test_partition_table import FIRST, ROWS, act, bring, section


class RunningClock(SystemClock):
    """Time goes by itself: to advance is to wait for it."""

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class RealWorld(World):
    """The same experiment over a server."""

    def __init__(self, section: RunsSection, bus: Bus, url: str, folder: Path) -> None:
        super().__init__(section)
        self.clock = RunningClock()
        self.bus = bus
        self.url = url  # type: ignore[assignment]
        self.database = Database(f"sqlite:///{folder}/runs.sqlite")

    async def connect(self, name: str) -> Bus:
        return await nats.connect(self.url, name=name)

    def begin_runs(self, name: str = "runs") -> None:
        self.begin(name, self._run_control)

    async def _run_control(self) -> None:
        bus = await self.connect("runs")
        try:
            await RunsService(bus, self.clock, self.section, self.database).run()
        finally:
            await bus.close()

    async def until(self, true: object, *, seconds: float = 30.0, step: float = 0.01) -> None:
        await super().until(true, seconds=seconds, step=step)  # type: ignore[arg-type]


async def test_every_row_is_gone_on_a_real_bus(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "bus", description=BusSection())
    await server.start()
    bus = await nats.connect(server.url_with_login(), name="test")
    try:
        world = RealWorld(section(OWN, configure_s=0.02), bus, server.url_with_login(), tmp_path)
        async with experiment(world=world):
            await world.reaches("Idle")
            for row in ROWS:
                await gone(world, row)
            assert all(run.end for run in await world.runs())
    finally:
        await bus.close()
        await server.stop()


async def gone(world: World, row: tuple[str, str, str]) -> None:
    """Bring it where the row begins, let happen what it is about, and all down again."""
    state, event, following = row
    before = len(await world.moves())
    level = state.removeprefix("Configuring_")
    if level != state:  # it is being configured for long enough that something else can happen
        await world.say(FIRST[level], "fault", name="slow", seconds=0.5 if event == "success" else 5)
    await bring(world, state)
    await act(world, state, event)
    await world.reaches(following.replace("Configuring_", "") + "_Active" if event == "configure" else following)

    async def first_from_there() -> tuple[str, str, str] | None:
        return next((move for move in (await world.moves())[before:] if move[0] == state), None)

    await world.until(first_from_there)  # the event of a move comes after the state that is shown
    assert await first_from_there() == row
    for system in world.section.systems:
        await world.say(system, "fault", name="heal")
        await world.ask("reset", system=system)
    if not await world.is_in("Idle"):
        await world.does("abort")
        await world.reaches("Idle")

    async def is_told() -> bool:
        return (await world.moves())[-1][2] == "Idle"

    await world.until(is_told)
