"""Clients of one server, whose links a test can cut and mend. Each adapter has its own."""

from __future__ import annotations

from typing import Protocol

from countingroom.bus import nats
from countingroom.bus.login import BusLogin
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.nats.renewal_process import LaunchRenewer
from countingroom.bus.port import Bus
from tests.contract.bus.cable import Cable


class LinkedClients(Protocol):
    """What the suite needs."""

    async def client(self) -> Bus: ...
    async def cut(self, bus: Bus) -> None: ...
    async def mend(self, bus: Bus) -> None: ...
    async def close(self) -> None: ...


class MemoryClients:
    """Clients of one memory server."""

    def __init__(self) -> None:
        self._first = MemoryBus()
        self._clients: list[MemoryBus] = []

    async def client(self) -> MemoryBus:
        self._clients.append(self._first.client())
        return self._clients[-1]

    async def cut(self, bus: Bus) -> None:
        assert isinstance(bus, MemoryBus)
        bus.cut()

    async def mend(self, bus: Bus) -> None:
        assert isinstance(bus, MemoryBus)
        bus.mend()

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


class NatsClients:
    """Clients of a nats-server, each on a cable of its own."""

    def __init__(self, port: int, login: BusLogin, *, launch_renewer: LaunchRenewer | None = None) -> None:
        self._port = port
        self._login = login
        self._launch_renewer = launch_renewer
        self._cables: dict[int, Cable] = {}
        self._clients: list[NatsBus] = []

    async def client(self) -> NatsBus:
        cable = Cable(self._port)
        await cable.plug()
        url = f"nats://127.0.0.1:{cable.port}"
        bus = await nats.connect(url, name="test", login=lambda: self._login, launch_renewer=self._launch_renewer)
        self._cables[id(bus)] = cable
        self._clients.append(bus)
        return bus

    async def cut(self, bus: Bus) -> None:
        await self._cables[id(bus)].pull()

    async def mend(self, bus: Bus) -> None:
        await self._cables[id(bus)].plug()

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        for cable in self._cables.values():
            await cable.pull()
