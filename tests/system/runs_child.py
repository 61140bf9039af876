"""Run control as a process of its own, to be killed: `python runs_child.py URL DATABASE NAME DELAY`."""

from __future__ import annotations

import asyncio
import sys

from countingroom.bus import nats
from countingroom.core.clock import SystemClock
from countingroom.runs.service import RunsService
from countingroom.storage.database import Database
from tests.scenario.experiment import description


async def main(url: str, database_url: str, name: str, seconds: str) -> None:
    clock = SystemClock()
    database = Database(database_url)
    await database.open()
    bus = await nats.connect(url, name=name, clock=clock)
    section = description({"kind": "simulated", "configure": seconds, "start": seconds, "stop": seconds})
    await RunsService(bus, clock, section, database, instance=name).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
