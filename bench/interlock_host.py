"""From a limit that is crossed in the IOC to the command at the IOC, through an interlock inside one device host.

A second IOC sends 5,000 other changes a second to the same device. The raw limit is the same with the client library
alone: a callback that puts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy

from bench.ca_field import bus, child
from bench.row import Row
from countingroom.app.garbage_collection import SETTLED_S
from countingroom.core.values import Scalar
from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord

UPDATES_HZ = 5000.0
BATCHES_HZ = 200.0
OTHERS = 200
TRIPS = 200
SETTLE_S = SETTLED_S + 2.0
"""Every process has collected its garbage of the start by then, as a role of the product has."""
INTERLOCK = {
    "causes": {"hot": {"inputs": [{"limit": {"point": "plant.temperature", "alarm_high": 35}}]}},
    "effects": {
        "off": {"commands": [{"device": "plant", "command": "set", "arguments": {"point": "heater", "value": 0}}]}
    },
    "matrix": {"hot": ["off"]},
    "latch": False,
}


def _refuse(name: str, value: float | int | str) -> None:
    raise LookupError(f"{name} is not to be set to {value}")


class Plant:
    """A temperature, a heater, and many values that change all the time."""

    def __init__(self) -> None:
        others = [IocRecord(name=f"bench:other{n}") for n in range(OTHERS)]
        self.ioc = Ioc(
            [
                IocRecord(name="bench:temperature", value=20.0),
                IocRecord(name="bench:heater", kind="int", value=1, writable=True),
            ],
            self._put,
        )
        self.others = Ioc(others, _refuse)
        self._commanded = asyncio.Event()
        self._at_s = 0.0

    @property
    def addresses(self) -> list[str]:
        """Of both IOCs."""
        return [self.ioc.address, self.others.address]

    def section(self) -> dict[str, Any]:
        """The section of the device."""
        points: dict[str, Any] = {f"other{n}": {"pv": f"bench:other{n}"} for n in range(OTHERS)}
        points["temperature"] = {"pv": "bench:temperature"}
        points["heater"] = {"pv": "bench:heater", "type": "int", "writable": True, "write_low": 0, "write_high": 1}
        return {"driver": "epics", "values": points, "address_list": self.addresses}

    def _put(self, name: str, value: float | int | str) -> None:
        if name == "bench:heater" and not value:
            self._at_s = time.monotonic()
            self._commanded.set()
            self.ioc.set({name: 0})

    async def trips(self) -> list[float]:
        """Latencies in ms of TRIPS trips."""
        found: list[float] = []
        for _ in range(TRIPS):
            self.ioc.set({"bench:temperature": 20.0, "bench:heater": 1})
            await asyncio.sleep(0.1)
            self._commanded.clear()
            began_s = time.monotonic()
            self.ioc.set({"bench:temperature": 50.0})
            async with asyncio.timeout(10):
                await self._commanded.wait()
            found.append((self._at_s - began_s) * 1e3)
        return found

    async def change_others(self) -> None:
        """Change the other values, UPDATES_HZ in all."""
        loop = asyncio.get_running_loop()
        begin, sent = loop.time(), 0
        while True:
            await asyncio.sleep(1 / BATCHES_HZ)
            due = int((loop.time() - begin) * UPDATES_HZ)
            values: dict[str, Scalar] = {f"bench:other{n % OTHERS}": float(n) for n in range(sent, due)}
            self.others.set(values)
            sent = due


@asynccontextmanager
async def plant() -> AsyncGenerator[Plant]:
    """Served, with its storm."""
    made = Plant()
    await made.ioc.start()
    await made.others.start()
    storm = asyncio.create_task(made.change_others())
    try:
        yield made
    finally:
        storm.cancel()
        await made.others.stop()
        await made.ioc.stop()


async def through_the_host() -> list[float]:
    """With the interlock."""
    async with plant() as field, bus() as (url, _):
        with tempfile.TemporaryDirectory() as folder:
            parameters = {
                "url": url,
                "devices": {"plant": field.section()},
                "interlocks": {"heat": INTERLOCK},
                "interlock_file": str(Path(folder) / "devices.json"),
            }
            async with child("bench.ca_host", parameters=parameters):
                await asyncio.sleep(SETTLE_S)
                return await field.trips()


async def at_the_library() -> list[float]:
    """With a callback of aioca that puts."""
    async with plant() as field:
        parameters = {"address": " ".join(field.addresses), "others": [f"bench:other{n}" for n in range(OTHERS)]}
        async with child("bench.interlock_host", parameters=parameters):
            await asyncio.sleep(SETTLE_S)
            return await field.trips()


async def put_at_limit(given: dict[str, Any]) -> None:
    """The child process of `at_the_library`."""
    aioca: Any = import_module("aioca")
    puts: set[asyncio.Task[Any]] = set()

    def take(value: float) -> None:
        if value > 35:
            task = asyncio.ensure_future(aioca.caput("bench:heater", 0))
            puts.add(task)
            task.add_done_callback(puts.discard)

    aioca.camonitor(given["others"], _ignore, format=aioca.FORMAT_TIME)
    aioca.camonitor("bench:temperature", take, format=aioca.FORMAT_TIME)
    await aioca.connect("bench:heater")
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    await asyncio.sleep(600)


def _ignore(value: float, index: int) -> None: ...


def run() -> list[Row]:
    """The rows of this benchmark."""
    ours, raw = asyncio.run(through_the_host()), asyncio.run(at_the_library())
    return rows("interlock inside one host", ours, raw, goal="<= 10 ms")


def rows(name: str, ours: list[float], raw: list[float], *, goal: str) -> list[Row]:
    """p50 and p99; the goal is that of p99."""
    made: list[Row] = []
    for percent in (50, 99):
        value, limit = (float(numpy.percentile(values, percent)) for values in (ours, raw))
        made.append(
            Row(
                name=f"{name}, limit in the IOC to command at the IOC, p{percent}",
                value=value,
                unit="ms",
                raw_limit=limit,
                ratio=value / limit,
                goal=goal if percent == 99 else "",
            )
        )
    return made


if __name__ == "__main__":
    import os

    import msgspec

    line = msgspec.json.decode(sys.stdin.buffer.readline())
    os.environ["EPICS_CA_ADDR_LIST"] = line["address"]
    os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
    asyncio.run(put_at_limit(line))
