"""Doors over a bus in memory, with nodes and services as they are published, and clients that speak lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.presence import heartbeat
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.states import InstanceState, NodeState, ServiceState, node_key, service_key
from countingroom.core.messages import encode
from countingroom.doors.description import DoorsSection
from countingroom.doors.door import Door
from countingroom.doors.service import DoorsService
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

NODES = ("gfa1", "gfa2", "gfa10")


class Client:
    """A connection to a door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\n" for line in lines).encode())

    async def line(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            return (await self.reader.readline()).decode().removesuffix("\n")

    async def lines(self, count: int) -> list[str]:
        return [await self.line() for _ in range(count)]

    async def ask(self, line: str) -> list[str]:
        """The replies to a command with the number 7, without the number, up to the final one."""
        self.send(f"7 {line}")
        found: list[str] = []
        while True:
            words = (await self.line()).split(" ", 2)
            found.append(words[2])
            if words[1] == "7" and words[2][0] in ":f":
                return found

    async def ask_over_time(
        self, clock: FakeClock, line: str, *, seconds: float = 120.0, real_s: float = 0.0
    ) -> list[str]:
        """The same while time goes on. `real_s`: so long real programs have to answer between two steps. The deadlines
        of the door are in the time of the clock: on a slow machine it must not run ahead of what they need."""
        asking = asyncio.create_task(self.ask(line))
        for _ in range(round(seconds / 0.25)):
            await asyncio.sleep(0)  # the sockets have their turn
            if real_s:
                await asyncio.wait([asking], timeout=real_s)
            if asking.done():
                break
            await clock.advance(0.25)
        return await asking

    def close(self) -> None:
        self.writer.close()


class DoorStand:
    """The doors under test."""

    def __init__(self, clock: FakeClock, bus: MemoryBus, service: DoorsService, audit: list[AuditEntry]) -> None:
        self.clock = clock
        self.bus = bus
        self.service = service
        self.audit = audit
        self.own = bus
        """The connection of the doors to the bus."""
        self.clients: list[Client] = []

    def door(self, name: str = "fliswarm") -> Door:
        return self.service.doors[name]

    async def client(self, name: str = "fliswarm", *, greeted: bool = True) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.door(name).port))
        self.clients.append(client)
        while greeted and "version=" not in await client.line():
            pass
        return client

    async def node(self, name: str, **fields: Any) -> None:
        known: dict[str, Any] = {"is_reachable": True, **fields}
        state = NodeState(node=name, address=f"sdss-{name}", category="gfa", **known)
        await self.bus.put(subjects.STATE_BUCKET, node_key(name), encode(state))

    async def service_state(self, name: str, *instances: InstanceState, **fields: Any) -> None:
        state = ServiceState(service=name, instances=instances, **fields)
        await self.bus.put(subjects.STATE_BUCKET, service_key(name), encode(state))


def camera(node: str, health: Health | None = Health.HEALTHY, **fields: Any) -> InstanceState:
    known: dict[str, Any] = {"engine_id": f"{node}-0123456789abcdef", **fields}
    return InstanceState(node=node, health=health, **known)


@asynccontextmanager
async def doors(**given: dict[str, Any]) -> AsyncGenerator[DoorStand]:
    """Doors with these keys; without any the legacy one `fliswarm`. Nodes and a service are as if a keeper ran."""
    clock = FakeClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    async with opened(clock, bus, given or {"fliswarm": {}}) as stand, asyncio.TaskGroup() as group:
        for name in NODES:
            await stand.node(name)
        await stand.service_state("camera", *(camera(name) for name in NODES))
        keeper = group.create_task(heartbeat(bus, clock, role="fleet", instance="main", boot="b"))
        await clock.advance(1)
        yield stand
        keeper.cancel()


@asynccontextmanager
async def opened(clock: FakeClock, bus: MemoryBus, given: dict[str, dict[str, Any]]) -> AsyncGenerator[DoorStand]:
    """Doors with these keys on this bus."""
    section = DoorsSection.model_validate({name: {"listen": "127.0.0.1:0"} | keys for name, keys in given.items()})
    audit: list[AuditEntry] = []

    async def record(entry: AuditEntry) -> None:
        audit.append(entry)

    own = bus.client()
    stand = DoorStand(clock, bus, DoorsService(own, clock, section, "1.2", record, Path()), audit)
    stand.own = own
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stand.service.run(ready.set))
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
        try:
            yield stand
        finally:
            for client in stand.clients:
                client.close()
                with suppress(OSError):
                    await client.writer.wait_closed()
            running.cancel()
