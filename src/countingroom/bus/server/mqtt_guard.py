"""Watches what each MQTT user takes of the connections, sessions and consumers of all, and removes what is too much.

The server has limits for all MQTT users together only, and none for the rate of messages, so one user alone could keep
all others out.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
from msgspec import Struct

from countingroom.bus.description import Mqtt
from countingroom.bus.port import Bus
from countingroom.bus.server import mqtt_sessions
from countingroom.bus.server.mqtt_account import CLIENTS, CLIENTS_SEEN, CONSUMERS, KICK
from countingroom.bus.server.mqtt_clients import ConnectedClients
from countingroom.bus.server.mqtt_rates import Excess, MessageRates
from countingroom.bus.server.mqtt_sessions import Connections, MqttConnection, MqttSession, key
from countingroom.bus.server.mqtt_shares import Share, Surplus, share, surplus
from countingroom.bus.server.server_event import server_event
from countingroom.core import severity
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import Event, Malformed, decode_json

LOOK_S = 5.0
RATES_S = 1.0
"""Between two looks at the rates of messages."""
PAUSE_S = 0.2
"""Between two looks while clients come quickly."""
NEARLY_ALL = 0.8
"""Part of the connections or consumers of all from which on there is a warning."""
QUIET_S = 60.0
"""The time without surplus after which the next surplus is reported again."""
BLIND_S = 30.0
"""Time without a look after which there is a warning."""
_TAKEOVERS = 4
_KEPT_S = 60.0
"""Time for which the user of a client is remembered without a session."""
_MOST_OWNERS = 20_000
_ANSWER_S = 5.0
_CONSUMER = f"{CLIENTS_SEEN}.CONSUMER."
_NOTHING = Share(connections=0, sessions=0, consumers=0)
_SUGGESTION = "give each client a user of its own, or the user a higher max_connections"


class _Server(Struct):
    id: str = ""


class _Client(Struct):
    id: int = 0
    user: str = ""
    client_id: str = ""


class _Received(Struct):
    msgs: int = 0


class _Advisory(Struct):
    server: _Server = msgspec.field(default_factory=_Server)
    client: _Client = msgspec.field(default_factory=_Client)
    received: _Received = msgspec.field(default_factory=_Received)


class MqttGuard:
    """Disconnects a client beyond the share at once. Sessions are looked at every five seconds, and at once when a user
    comes with many client ids."""

    def __init__(self, bus: Bus, clock: Clock, *, mqtt: Mqtt, on_event: Callable[[Event], None]) -> None:
        self._bus = bus
        self._clock = clock
        self._on_event = on_event
        self._shares: Mapping[str, Share] = {user.name: share(user) for user in mqtt.users}
        self._clients = ConnectedClients()
        self._rates = MessageRates({user.name: user.max_messages_per_s for user in mqtt.users})
        self._owners: dict[str, tuple[str, float]] = {}
        """Key of a client -> its user, and when it was last connected."""
        self._first: dict[str, float] = {}
        """Key of a session -> when it was seen first."""
        self._used: dict[str, Share] = {}
        self._ids: Counter[str] = Counter()
        self._consumers: Counter[str] = Counter()
        """User -> what it had at the last look, and its new client ids and consumers since then."""
        self._takeovers: dict[tuple[str, str, str], deque[float]] = defaultdict(deque)
        self._told: dict[tuple[str, ...], tuple[str, float]] = {}
        """What and whose -> the warning, and when it was last so."""
        self._nearly: list[str] = []
        self._wake = asyncio.Event()
        self._failing = ""
        self._looked_s = clock.monotonic()
        """Why the last look failed, and when one did not."""

    def warnings(self) -> list[str]:
        """What keeps MQTT clients out, or soon does, one sentence each."""
        if self._failing and self._clock.monotonic() > self._looked_s + BLIND_S:
            return [f"the limits of MQTT users are not watched: {self._failing}"]
        return [*self._nearly, *(text for text, _ in self._told.values())]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._remind())
            group.create_task(self._look_when_woken())
            group.create_task(self._watch_rates())

    async def look(self) -> None:
        """Look once."""
        try:
            sessions = await mqtt_sessions.find(self._bus)
            connections = await mqtt_sessions.connections(self._bus)
            self._note(sessions, connections)
            found = self._surplus(sessions, connections)
            if found.removed:
                await self._remove(found, connections.server)
                self._wake.set()  # sessions of the clients that are disconnected now may stay
        except CountingRoomError as error:  # the server restarts, which is told elsewhere
            self._nearly = []
            self._failing = str(error)
        else:
            self._failing = ""
            self._looked_s = self._clock.monotonic()
        self._forget()

    async def _follow(self) -> None:
        async with self._bus.subscribe(f"{CLIENTS_SEEN}.>") as seen:
            async for message in seen:
                if message.subject.startswith(_CONSUMER):
                    self._note_consumer(message.subject.removeprefix(_CONSUMER))
                    continue
                try:
                    advisory = decode_json(message.data, _Advisory)
                except Malformed as error:
                    self._bus.dead_letters.add(message.subject, message.data, error)
                    continue
                one = advisory.client
                client = MqttConnection(cid=one.id, user=one.user, client_id=one.client_id)
                if message.subject.endswith(".DISCONNECT"):
                    self._clients.remove(client)
                    self._rates.ended(client, advisory.received.msgs)
                else:
                    await self._note_connected(client, advisory.server.id)

    async def _note_connected(self, client: MqttConnection, server: str) -> None:
        one, now = key(client.client_id), self._clock.monotonic()
        before, _ = self._owners.pop(one, ("", now))
        self._owners[one] = (client.user, now)
        if before and before != client.user:
            self._note_takeover(client.user, before, client.client_id)
        if before != client.user:
            self._ids[client.user] += 1
            self._wake_beyond(client.user)
        is_paused = self._rates.is_paused(client.user, now)
        if self._clients.add(client) > self._share(client.user).connections or is_paused:
            if not is_paused:
                self._tell_connections(client.user)
            # Without waiting for the answer, because the next client beyond the share may come meanwhile.
            with suppress(CountingRoomError):
                await self._bus.publish(f"{KICK}.{server}", _kick(client.cid))

    def _note_consumer(self, name: str) -> None:
        user = self._owners.get(mqtt_sessions.session_key(name), ("", 0.0))[0]
        self._consumers[user] += 1
        self._wake_beyond(user)

    def _wake_beyond(self, user: str) -> None:
        """Look at once when the user may have more than its share."""
        used, most = self._used.get(user, _NOTHING), self._share(user)
        if used.sessions + self._ids[user] > most.sessions or used.consumers + self._consumers[user] > most.consumers:
            self._wake.set()

    async def _remind(self) -> None:
        while True:
            self._wake.set()
            await self._clock.sleep(LOOK_S)

    async def _look_when_woken(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.look()
            await self._clock.sleep(PAUSE_S)

    def _note(self, sessions: list[MqttSession], connections: Connections) -> None:
        now = self._clock.monotonic()
        for client in connections.clients:
            self._owners[key(client.client_id)] = (client.user, now)
        keys = {session.key for session in sessions}
        self._first = {one: self._first.get(one, now) for one in keys}
        for one, (user, _) in list(self._owners.items()):
            if one in keys:
                self._owners[one] = (user, now)
        clients = Counter(client.user for client in connections.clients)
        self._clients.replace(connections.clients)
        self._used = self._all_used(sessions)
        self._ids.clear()
        self._consumers.clear()
        streams: dict[str, Counter[str]] = defaultdict(Counter)
        for session in sessions:
            for stream, _ in session.consumers:
                streams[stream][self._owner(session)] += 1
        used = max(streams.values(), key=lambda one: one.total(), default=Counter[str]())
        self._nearly = [*_nearly_all("connections", clients, CLIENTS), *_nearly_all("consumers", used, CONSUMERS)]

    def _all_used(self, sessions: list[MqttSession]) -> dict[str, Share]:
        number = Counter(self._owner(session) for session in sessions)
        consumers: Counter[str] = Counter()
        for session in sessions:
            consumers[self._owner(session)] += len(session.consumers)
        return {user: Share(connections=0, sessions=number[user], consumers=consumers[user]) for user in number}

    def _surplus(self, sessions: list[MqttSession], connections: Connections) -> Surplus:
        owners = {one: user for one, (user, _) in self._owners.items()}
        oldest = sorted(sessions, key=lambda one: self._first[one.key])
        found = surplus(connections.clients, oldest, shares=self._shares, owners=owners)
        removed = {session.key for session in found.sessions}
        for user in {client.user for client in found.connections if key(client.client_id) not in removed}:
            self._tell_connections(user)
        for user in {self._owner(session) for session in found.sessions}:
            limit = self._share(user)
            text = (
                f"{_named(user)} has more than {limit.sessions} sessions, or {limit.consumers} subscriptions with "
                f"QoS 1 or 2 in them: the sessions beyond are removed"
            )
            self._tell(("sessions", user), text)
        return found

    async def look_at_rates(self) -> None:
        """Disconnect the clients of each user that publishes too fast."""
        with suppress(CountingRoomError):  # the server restarts, which is told elsewhere
            found = await mqtt_sessions.connections(self._bus)
            for excess in self._rates.look(found.clients, self._clock.monotonic()):
                self._tell_rate(excess)
            for client in found.clients:
                if self._rates.is_paused(client.user, self._clock.monotonic()):
                    await self._disconnect(found.server, client.cid)

    async def _watch_rates(self) -> None:
        while True:
            await self.look_at_rates()
            await self._clock.sleep(RATES_S)

    async def _remove(self, found: Surplus, server: str) -> None:
        for client in found.connections:
            await self._disconnect(server, client.cid)
        await mqtt_sessions.remove(self._bus, found.sessions)
        removed = {session.key for session in found.sessions}
        # A client that came back meanwhile would hear nothing more. It connects again, and subscribes again.
        for client in (await mqtt_sessions.connections(self._bus)).clients if removed else ():
            if key(client.client_id) in removed:
                await self._disconnect(server, client.cid)

    async def _disconnect(self, server: str, cid: int) -> None:
        await self._bus.request(f"{KICK}.{server}", _kick(cid), timeout_s=_ANSWER_S)

    def _tell_connections(self, user: str) -> None:
        most = self._share(user).connections
        text = f"{_named(user)} has more than {most} connections: those beyond are disconnected"
        self._tell(("connections", user), text)

    def _tell_rate(self, excess: Excess) -> None:
        text = (
            f"{_named(excess.user)} published {excess.per_s:.0f} messages/s, more than {excess.limit}: "
            f"its clients are kept out for {excess.pause_s:g} s"
        )
        suggestion = "let its boards publish less often, or give the user a higher max_messages_per_s"
        self._tell(("rate", excess.user), text, suggestion=suggestion)

    def _note_takeover(self, user: str, other: str, client_id: str) -> None:
        now = self._clock.monotonic()
        one, two = sorted((user, other))
        times = self._takeovers[one, two, key(client_id)]
        times.append(now)
        while times[0] < now - QUIET_S:
            times.popleft()
        if len(times) >= _TAKEOVERS:
            times.clear()
            self._tell(
                ("client id", one, two),
                f"the MQTT users {one} and {two} use the same client id {client_id[:64]!r}: each disconnects the other",
                suggestion="give each client an id of its own; where one is meant to harm, change its password",
            )

    def _tell(self, what: tuple[str, ...], message: str, *, suggestion: str = "") -> None:
        is_new = what not in self._told
        self._told[what] = (message, self._clock.monotonic())
        if not is_new:
            return
        cause = Cause(code="mqtt", message=message, source="bus", suggestion=suggestion or _SUGGESTION)
        self._on_event(server_event(self._clock, "mqtt", message, level=severity.MEDIUM, cause=cause))

    def _forget(self) -> None:
        now = self._clock.monotonic()
        self._told = {what: one for what, one in self._told.items() if one[1] > now - QUIET_S}
        self._owners = dict(
            [(one, known) for one, known in self._owners.items() if known[1] > now - _KEPT_S][-_MOST_OWNERS:]
        )
        for pair in [pair for pair, times in self._takeovers.items() if not times or times[-1] < now - QUIET_S]:
            del self._takeovers[pair]

    def _share(self, user: str) -> Share:
        return self._shares.get(user, Share())

    def _owner(self, session: MqttSession) -> str:
        return self._owners.get(session.key, ("", 0.0))[0]


def _kick(cid: int) -> bytes:
    return json.dumps({"cid": cid}).encode()


def _nearly_all(what: str, used: Counter[str], most: int) -> list[str]:
    if used.total() < NEARLY_ALL * most:
        return []
    user, number = used.most_common(1)[0]
    return [
        f"{used.total()} of {most} {what} of MQTT clients are used, {number} by {_named(user)}; "
        f"beyond {most}, clients are refused"
    ]


def _named(user: str) -> str:
    return f"the MQTT user {user}" if user else "an unknown MQTT user"
