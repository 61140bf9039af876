"""From a change in the IOC to the MQTT message of the tracker DCS, while 5,000 other changes come each second.

Each of TOPICS values is quiet for more than a second before it changes, as the rate of the contract asks. The raw limit
is a callback of the EPICS client that publishes by MQTT, without us.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from aiomqtt import Client

from bench.ca_field import child
from bench.interlock_host import OTHERS, SETTLE_S, Plant, plant, rows
from bench.row import Row
from countingroom.app.garbage_collection import collect
from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.core.accounts import AuditEntry
from countingroom.core.clock import SystemClock
from countingroom.core.policy import Principal, Role
from countingroom.mqtt.broker import BrokerPlace
from countingroom.mqtt.service import BrokerService
from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord
from countingroom.tracker.adapter import TrackerAdapter
from countingroom.tracker.facts import TrackerFacts

TOPICS = 25
EVERY_S = 0.06
"""Between two changes: each value is quiet for 1.5 s."""
CHANGES = 400
USER, PASSWORD = "bench", "bench"


class Quiet:
    """Values that change one after the other, and when their messages came."""

    def __init__(self) -> None:
        self.ioc = Ioc([IocRecord(name=f"bench:quiet{n}") for n in range(TOPICS)], _refuse)

    def points(self) -> dict[str, Any]:
        """For the section of a device."""
        return {f"quiet{n}": {"pv": f"bench:quiet{n}"} for n in range(TOPICS)}

    async def latencies(self, port: int) -> list[float]:
        """In ms, of CHANGES changes."""
        began: dict[tuple[int, float], float] = {}
        found: list[float] = []
        async with Client("127.0.0.1", port, username=USER, password=PASSWORD) as client:
            await client.subscribe("bench/#")
            changing = asyncio.create_task(self._change(began))
            async with asyncio.timeout(CHANGES * EVERY_S + 30):
                async for message in client.messages:
                    now_s = time.monotonic()
                    key = int(str(message.topic).rpartition("quiet")[2]), float(bytes(message.payload))
                    if key in began:
                        found.append((now_s - began.pop(key)) * 1e3)
                    if len(found) == CHANGES:
                        break
            await changing
        return found

    async def _change(self, began: dict[tuple[int, float], float]) -> None:
        for number in range(CHANGES):
            await asyncio.sleep(EVERY_S)
            began[number % TOPICS, float(number + 1)] = time.monotonic()
            self.ioc.set({f"bench:quiet{number % TOPICS}": float(number + 1)})


def _refuse(name: str, value: float | int | str) -> None:
    raise LookupError(f"{name} is not to be set to {value}")


@asynccontextmanager
async def field() -> AsyncGenerator[tuple[Quiet, Plant, EmbeddedServer]]:
    """The IOCs, and a bus with its MQTT listener."""
    quiet = Quiet()
    await quiet.ioc.start()
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "password"
        secret.write_text(PASSWORD)
        topics = ["bench/#", "dcs/#", "julabo/#", "MARTA/#", "SB/#"]
        user = {"name": USER, "password_file": str(secret), "publish": topics, "subscribe": topics}
        description = BusSection.model_validate({"mqtt": {"port": 0, "users": [user]}})
        server = EmbeddedServer(Path(folder) / "bus", description=description)
        await server.start()
        client = await nats.connect(server.url_with_login(), name="bench")
        await prepare(client)
        try:
            async with plant() as storm:
                yield quiet, storm, server
        finally:
            await client.close()
            await server.stop()
            await quiet.ioc.stop()


async def through_us() -> list[float]:
    """With a device host and the adapter, each a process of its own."""
    async with field() as (quiet, storm, server):
        section = storm.section()
        section["values"] |= quiet.points()
        section["address_list"] = [*storm.addresses, quiet.ioc.address]
        url = server.url_with_login()
        adapter = {"url": url, "port": server.mqtt_port, "topics": TOPICS}
        async with (
            child("bench.ca_host", parameters={"url": url, "devices": {"plant": section}}),
            child("bench.tracker_topics", "ours", parameters=adapter),
        ):
            await asyncio.sleep(SETTLE_S)
            return await quiet.latencies(server.mqtt_port)


async def without_us() -> list[float]:
    """With a callback that publishes."""
    async with field() as (quiet, storm, server):
        parameters = {
            "address": " ".join([*storm.addresses, quiet.ioc.address]),
            "others": [f"bench:other{n}" for n in range(OTHERS)],
            "port": server.mqtt_port,
        }
        async with child("bench.tracker_topics", "raw", parameters=parameters):
            await asyncio.sleep(SETTLE_S)
            return await quiet.latencies(server.mqtt_port)


async def adapter_process(given: dict[str, Any]) -> None:
    """The child process of `through_us`."""
    bus = await nats.connect(given["url"], name="tracker")

    async def audit(entry: AuditEntry) -> None: ...

    clock = SystemClock()
    sensors = {f"plant.quiet{n}": f"bench/quiet{n}" for n in range(given["topics"])}
    place = BrokerPlace(host="127.0.0.1", port=given["port"], user=USER, password=lambda: PASSWORD)
    principal = Principal(name="tracker.dashboard", role=Role.VIEWER)
    facts = TrackerFacts(sensors=sensors)
    service = BrokerService(
        bus,
        clock,
        lambda now_s: TrackerAdapter(facts, now_s),
        lambda: place,
        principal,
        role="tracker",
        audit=audit,
    )
    _answer()
    await asyncio.gather(service.run(), collect(clock))


async def raw_process(given: dict[str, Any]) -> None:
    """The child process of `without_us`."""
    aioca: Any = import_module("aioca")
    tasks: set[asyncio.Task[Any]] = set()
    async with Client("127.0.0.1", given["port"], username=USER, password=PASSWORD) as client:

        def take(value: Any, index: int) -> None:
            task = asyncio.ensure_future(client.publish(f"bench/quiet{index}", f"{float(value)}"))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        aioca.camonitor(given["others"], _ignore, format=aioca.FORMAT_TIME)
        aioca.camonitor([f"bench:quiet{n}" for n in range(TOPICS)], take, format=aioca.FORMAT_TIME)
        _answer()
        await asyncio.sleep(600)


def _ignore(value: float, index: int) -> None: ...


def _answer() -> None:
    sys.stdout.write("{}\n")
    sys.stdout.flush()


def run() -> list[Row]:
    """The rows of this benchmark."""
    ours, raw = asyncio.run(through_us()), asyncio.run(without_us())
    made = rows("tracker topics at 5,000 updates/s", ours, raw, goal="<= 50 ms")
    named = "change in the IOC to MQTT message"
    return [
        msgspec.structs.replace(row, name=row.name.replace("limit in the IOC to command at the IOC", named))
        for row in made
    ]


if __name__ == "__main__":
    line = msgspec.json.decode(sys.stdin.buffer.readline())
    if sys.argv[1] == "raw":
        os.environ["EPICS_CA_ADDR_LIST"] = line["address"]
        os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
    asyncio.run(raw_process(line) if sys.argv[1] == "raw" else adapter_process(line))
