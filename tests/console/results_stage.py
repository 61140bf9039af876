"""Results behind a console: the store, and programs of the test that really run, over the memory bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.console.app import create
from countingroom.core.clock import Clock, SystemClock
from countingroom.results.description import ResultsSection
from countingroom.results.desk import Desk
from countingroom.results.service import ResultsService
from countingroom.results.store import FileStore, open_store
from countingroom.storage.database import Database
from tests.console.served import served

SCAN = """
import json, os, sys
order = json.load(sys.stdin)
print(json.dumps({"progress": 0.5, "comment": "half", "versions": {"scan": "2"}}), flush=True)
out = os.environ["COUNTINGROOM_OUTPUT"]
steps = order["parameters"]["steps"]
json.dump({"steps": steps, "noise": {"mean": 4 + steps}}, open(out + "/summary.json", "w"))
rows = "".join(f"{i // 4},{i % 4},{i * steps}\\n" for i in range(12))
open(out + "/noise.csv", "w").write("row,column,noise\\n" + rows)
open(out + "/curve.csv", "w").write("threshold,hits\\n1,0\\n2,5\\n3,10\\n")
print("all done", flush=True)
"""
"""A calibration that takes no time."""


def programs(**more: Mapping[str, Any]) -> ResultsSection:
    """`scan` and other programs."""
    scan = {
        "title": "Quick scan",
        "command": ["{python}", "-ISc", SCAN],
        "parameters": {"steps": 3, "module": "top"},
        "time_limit": "90 s",
    }
    return ResultsSection.model_validate({"programs": {"scan": scan, **more}})


class ResultStage:
    """A bus, a store and the service of programs."""

    def __init__(self, bus: MemoryBus, clock: Clock, database: Database, folder: Path) -> None:
        self.bus = bus
        self.clock = clock
        self.database = database
        self.folder = folder
        self.store: FileStore = open_store(database, folder)

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[tuple[FastAPI, httpx.AsyncClient]]:
        """The console with these results, and a client."""
        app = self.console()
        async with app.router.lifespan_context(app):
            await app.state.context.latest.ready()
            transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                yield app, client

    def console(self) -> FastAPI:
        """The console with these results."""
        return create(
            self.bus.client(),
            self.clock,
            title="Test stand",
            version="0.0.1",
            tick_s=0.05,
            database=self.database,
            results=Desk(self.store),
        )

    @asynccontextmanager
    async def service(self, section: ResultsSection) -> AsyncGenerator[None]:
        """The programs can be started while entered."""
        made = ResultsService(
            self.bus.client(), self.clock, section, self.store, directory=self.folder.parent, version="0.0.1"
        )
        task = asyncio.create_task(made.run())
        try:
            while not await self._answers(section):
                await asyncio.sleep(0.01)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _answers(self, section: ResultsSection) -> bool:
        names = [f"result_program.{name}" for name in section.programs]
        return all([await self.bus.client().get("state", name) for name in names])


@asynccontextmanager
async def result_stage(folder: Path, *, clock: Clock | None = None) -> AsyncGenerator[ResultStage]:
    """Without programs; the store keeps its files below the folder."""
    clock = clock or SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    database = Database("sqlite://", clock=clock)
    await database.open()
    try:
        yield ResultStage(bus, clock, database, folder / "result-files")
    finally:
        await database.close()
        await bus.close()


@contextmanager
def result_console(folder: Path) -> Generator[str]:
    """The address of a console with the program `scan`."""

    @asynccontextmanager
    async def made() -> AsyncGenerator[tuple[FastAPI, None]]:
        async with result_stage(folder) as here, here.service(programs()):
            yield here.console(), None

    with served(made) as (url, _):
        yield url
