"""Which MQTT clients are connected, kept from the server's events about connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from countingroom.bus.server.mqtt_sessions import MqttConnection


class ConnectedClients:
    """The connected clients. A new connection with the client id of another takes its place, as on the server."""

    def __init__(self) -> None:
        self._clients: dict[str, MqttConnection] = {}
        self._count: Counter[str] = Counter()

    def replace(self, clients: Iterable[MqttConnection]) -> None:
        """All that are connected now."""
        self._clients = {client.client_id: client for client in sorted(clients, key=lambda one: one.cid)}
        self._count = Counter(client.user for client in self._clients.values())

    def add(self, client: MqttConnection) -> int:
        """A client has connected; returns how many its user has."""
        if before := self._clients.get(client.client_id):
            self._count[before.user] -= 1
        self._clients[client.client_id] = client
        self._count[client.user] += 1
        return self._count[client.user]

    def remove(self, client: MqttConnection) -> None:
        """A connection has ended."""
        known = self._clients.get(client.client_id)
        if known and known.cid == client.cid:
            del self._clients[client.client_id]
            self._count[client.user] -= 1
