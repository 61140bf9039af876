"""The share of each MQTT user in the connections, sessions and consumers of the server, and the surplus beyond it.

The oldest ones stay: a client that comes last, beyond the share, is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from countingroom.bus.description import DEFAULT_CONNECTIONS, MqttUser
from countingroom.bus.server.mqtt_sessions import MqttConnection, MqttSession, key


class Share(Struct, frozen=True, kw_only=True):
    """What one user may have at a time."""

    connections: int = DEFAULT_CONNECTIONS
    sessions: int = 2 * DEFAULT_CONNECTIONS
    consumers: int = 8 * DEFAULT_CONNECTIONS
    """Subscriptions of its sessions with quality of service 1 or 2."""


class Surplus(Struct, frozen=True, kw_only=True):
    """What is beyond the shares."""

    connections: tuple[MqttConnection, ...] = ()
    sessions: tuple[MqttSession, ...] = ()

    @property
    def removed(self) -> bool:
        """Whether there is any."""
        return bool(self.connections or self.sessions)


def share(user: MqttUser) -> Share:
    """That of a user: two sessions and eight consumers for each of its connections."""
    most = user.max_connections
    return Share(connections=most, sessions=2 * most, consumers=8 * most)


def surplus(
    clients: Iterable[MqttConnection],
    sessions: Iterable[MqttSession],
    *,
    shares: Mapping[str, Share],
    owners: Mapping[str, str],
) -> Surplus:
    """What is beyond the shares. `sessions`: the oldest first. `owners`: key of a session -> its user, where known.

    Sessions of connected clients stay before others, and their clients are disconnected where the session goes.
    """
    connected: dict[str, MqttConnection] = {}
    refused: dict[int, MqttConnection] = {}
    count: dict[str, int] = defaultdict(int)
    for client in sorted(clients, key=lambda one: one.cid):
        connected[key(client.client_id)] = client
        count[client.user] += 1
        if count[client.user] > shares.get(client.user, Share()).connections:
            refused[client.cid] = client
    # A session that is not persistent ends with its connection; one that stays is seen by the next look.
    leaving = {one for one, client in connected.items() if client.cid in refused}
    too_many = _too_many([one for one in sessions if one.key not in leaving], connected, shares, owners)
    refused |= {client.cid: client for one in too_many if (client := connected.get(one.key))}
    return Surplus(connections=tuple(refused.values()), sessions=tuple(too_many))


def _too_many(
    sessions: Iterable[MqttSession], connected: Collection[str], shares: Mapping[str, Share], owners: Mapping[str, str]
) -> list[MqttSession]:
    found: list[MqttSession] = []
    kept: dict[str, int] = defaultdict(int)
    consumers: dict[str, int] = defaultdict(int)
    for session in sorted(sessions, key=lambda one: one.key not in connected):
        user = owners.get(session.key, "")
        limit = shares.get(user, Share())
        used = consumers[user] + len(session.consumers)
        if kept[user] >= limit.sessions or used > limit.consumers:
            found.append(session)
        else:
            kept[user] += 1
            consumers[user] = used
    return found
