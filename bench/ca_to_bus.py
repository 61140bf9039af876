"""Delay from the time stamp of a value in the IOC to a subscriber of the bus, at rest and during many changes.

The raw limit is the same changes at the client library alone, in a process that does nothing else.
"""

from __future__ import annotations

import asyncio
import time

import numpy

from bench.ca_field import bus, child, mainframes
from bench.row import Row
from countingroom.core.messages import Readings, decode

STORM_HZ = 5000.0
IDLE_HZ = 20.0
SETTLE_S, WATCH_S = 4.0, 8.0


async def on_the_bus(update_hz: float) -> list[float]:
    """Latencies in ms, of every value that a delta message carried."""
    async with mainframes(1, update_hz=update_hz) as sections, bus() as (url, client):
        parameters = {"url": url, "devices": sections}
        async with child("bench.ca_host", parameters=parameters), client.subscribe("readings.delta.*") as messages:
            begin = time.monotonic() + SETTLE_S
            end = begin + WATCH_S
            found: list[float] = []
            async for message in messages:
                now = time.time_ns()
                if time.monotonic() < begin:
                    continue
                found += [(now - stamp) / 1e6 for stamp in decode(message.data, Readings).device_ns]
                if time.monotonic() > end:
                    return found
    raise RuntimeError("nothing came")


async def at_the_library(update_hz: float) -> list[float]:
    """The same, at callbacks of aioca."""
    async with mainframes(1, update_hz=update_hz) as sections:
        parameters = {
            "sections": list(sections.values()),
            "only": ["VMon", "IMon"],  # those that the storm changes
            "settle_s": SETTLE_S,
            "watch_s": WATCH_S,
        }
        async with child("bench.ca_raw", parameters=parameters) as answer:
            return answer["latencies_ms"]


def rows(name: str, ours: list[float], raw: list[float], *, seconds: float) -> list[Row]:
    """p50, p99 and how many came."""
    made: list[Row] = []
    for percent in (50, 99):
        value, limit = (float(numpy.percentile(values, percent)) for values in (ours, raw))
        goal = "<= 5 ms" if percent == 99 else ""
        made.append(
            Row(
                name=f"IOC to bus, {name}, p{percent}",
                value=value,
                unit="ms",
                raw_limit=limit,
                ratio=value / limit,
                goal=goal,
            )
        )
    rates = len(ours) / seconds, len(raw) / seconds
    made.append(
        Row(
            name=f"IOC to bus, {name}, changes",
            value=rates[0],
            unit="1/s",
            raw_limit=rates[1],
            ratio=rates[0] / rates[1],
        )
    )
    return made


async def measure() -> list[Row]:
    """Idle, then at 5,000 updates a second."""
    made: list[Row] = []
    for name, update_hz in (("idle", IDLE_HZ), (f"{STORM_HZ:g} updates/s", STORM_HZ)):
        raw = await at_the_library(update_hz)
        ours = await on_the_bus(update_hz)
        made += rows(name, ours, raw, seconds=WATCH_S)
    return made


def run() -> list[Row]:
    """The rows of this benchmark."""
    return asyncio.run(measure())


if __name__ == "__main__":
    for row in run():
        print(row)
