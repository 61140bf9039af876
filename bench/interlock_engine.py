"""From a limit that is crossed in the IOC to the command at the IOC, through the alarm engine.

IOC, device host, server of the bus and engine are processes of their own. The host
evaluates nothing, as one that has not all devices of the interlock. Field, storm and raw limit are those of
`interlock_host`: what the bus and the engine add to the client library is the ratio.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from bench.ca_field import bus, child
from bench.interlock_host import INTERLOCK, SETTLE_S, at_the_library, plant, rows
from bench.row import Row


async def through_the_engine() -> list[float]:
    """Latencies in ms."""
    async with plant() as field, bus() as (url, _):
        with tempfile.TemporaryDirectory() as folder:
            engine: dict[str, Any] = {
                "url": url,
                "file": str(Path(folder) / "alarms.sqlite"),
                "alarms": {"interlocks": {"heat": INTERLOCK}},
            }
            async with (
                child("bench.alarm_engine_child", parameters=engine),
                child("bench.ca_host", parameters={"url": url, "devices": {"plant": field.section()}}),
            ):
                await asyncio.sleep(SETTLE_S)
                return await field.trips()


def run() -> list[Row]:
    """The rows of this benchmark."""
    ours, raw = asyncio.run(through_the_engine()), asyncio.run(at_the_library())
    return rows("interlock through the engine", ours, raw, goal="<= 20 ms")


if __name__ == "__main__":
    for row in run():
        print(row)
