"""The actors of one node: a client for each instance that speaks the actor protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from msgspec import UnsetType

from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError, DeviceError
from countingroom.core.fleet.specs import ActorPort, InstanceId
from countingroom.fleet.actors.client import ActorAddress, ActorClient
from countingroom.fleet.actors.link import Dial, dial
from countingroom.fleet.engines.port import EngineInstance


class NodeActors:
    """The clients of a node's actors. Health checks and users share one connection to each."""

    def __init__(self, clock: Clock, address: str, dial: Dial = dial) -> None:
        """`address`: the host of the node; empty: that on which an instance runs."""
        self._clock = clock
        self._host = address
        self._hosts: dict[InstanceId, str] = {}
        self._dial = dial
        self._clients: dict[InstanceId, ActorClient] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def client(self, id: InstanceId, port: ActorPort | UnsetType) -> ActorClient:
        """The client of an instance. ConfigurationError where it has no port."""
        port = port or ActorPort()
        if not port.port.isdecimal() or not 0 < int(port.port) < 65536:
            raise ConfigurationError(
                f"{id} has no port for the actor protocol: {port.port!r}",
                source="fleet.actor",
                suggestion="give its service: actor: {port: 19991}",
            )
        host = self._host or self._hosts.get(id) or "127.0.0.1"
        address = ActorAddress(host, int(port.port), port.form)
        present = self._clients.get(id)
        if present and present.address != address:
            self._close(id)
            present = None
        if present is None:
            self._clients[id] = present = ActorClient(self._clock, self._dial, address)
        return present

    def follow(self, instances: Iterable[EngineInstance]) -> None:
        """These are there now: close the connections to others."""
        self._hosts = {one.id: one.host for one in instances}
        for id in self._clients.keys() - self._hosts.keys():
            self._close(id)

    async def close(self) -> None:
        """Close all connections."""
        for id in list(self._clients):
            self._close(id)
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, id: InstanceId) -> None:
        task = asyncio.create_task(self._clients.pop(id).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def not_running(id: InstanceId, why: str) -> DeviceError:
    """The error for an actor whose program does not run."""
    return DeviceError(
        f"{id} {why}",
        source="fleet.actor",
        code="not_running",
        suggestion=f"see: countingroom fleet logs {id.service}@{id.node}",
    )
