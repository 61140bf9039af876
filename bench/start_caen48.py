"""How long until all process variables of 2 and of 16 mainframes (1,298 and 10,384) are live on the bus.

From the moment the device host runs (its modules loaded, the bus reached) to the last point with a good value on the
bus. The raw limit is the client library alone, from its first search to its last first value.
"""

from __future__ import annotations

import asyncio
import time

from bench.ca_field import bus, child, mainframes
from bench.row import Row
from countingroom.core.messages import Readings, decode
from countingroom.core.values import Quality

FEW, MANY = 2, 16
DEADLINE_S = 60.0


async def measure(count: int, goal: str) -> Row:
    """Start once, with everything but the device host there."""
    async with mainframes(count) as sections, bus() as (url, client), client.subscribe("readings.>") as messages:
        raw_parameters = {"sections": list(sections.values()), "only": [""], "settle_s": 0, "watch_s": 0}
        async with child("bench.ca_raw", parameters=raw_parameters) as answer:
            raw_s = answer["live_s"]
        waiting = count * (24 * 27 + 1)
        live: set[str] = set()
        async with child("bench.ca_host", parameters={"url": url, "devices": sections}):
            begin = time.monotonic()
            async with asyncio.timeout(DEADLINE_S):
                async for message in messages:
                    said = decode(message.data, Readings)
                    for point, quality in zip(said.points, said.qualities, strict=True):
                        if quality == Quality.GOOD:
                            live.add(f"{said.device}.{point}")
                    if len(live) == waiting:
                        break
            took_s = time.monotonic() - begin
    return Row(
        name=f"start of {count} CAEN mainframes ({waiting:,} process variables) until all are live",
        value=took_s,
        unit="s",
        raw_limit=raw_s,
        ratio=took_s / raw_s,
        goal=goal,
        ratio_goal=1.5 if count == MANY else None,
    )


def run() -> list[Row]:
    """The rows of this benchmark."""
    return [asyncio.run(measure(FEW, "<= 3 s")), asyncio.run(measure(MANY, ""))]


if __name__ == "__main__":
    for row in run():
        print(row)
