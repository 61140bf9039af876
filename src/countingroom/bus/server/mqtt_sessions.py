"""Persistent sessions of MQTT clients on the embedded server: found and removed, with their JetStream consumers.

If a client asks for it (`clean_session` 0), the server keeps the session after the client has gone, with one consumer
for each of its subscriptions with quality of service 1 or 2. The number of consumers of all sessions is limited.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import string
from collections import defaultdict
from collections.abc import Collection
from typing import TypeVar

import msgspec
from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.bus.server.mqtt_account import CLIENTS, CONNECTIONS, CONSUMERS_API, STORE
from countingroom.bus.server.mqtt_store import SESSIONS, WAITING
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import Malformed, decode_json

_STREAMS = (WAITING, "$MQTT_out")
"""Those with consumers of sessions."""
_RECORDS = "$MQTT.sess."
_RELEASE = "$MQTT_PUBREL_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ANSWER_S = 5.0
_AT_ONCE = 32
_GONE = (10014, 10059)
"""Errors of the server: consumer or stream not found."""
_T = TypeVar("_T")


class MqttSession(Struct, frozen=True, kw_only=True):
    """A persistent session."""

    key: str
    """Of its client id, as `key` computes it."""
    consumers: tuple[tuple[str, str], ...] = ()
    """Stream and name of each."""


class MqttConnection(Struct, frozen=True, kw_only=True):
    """A connected MQTT client."""

    cid: int
    user: str = msgspec.field(name="authorized_user", default="")
    client_id: str = msgspec.field(name="mqtt_client", default="")
    messages: int = msgspec.field(name="in_msgs", default=0)
    """Published by it so far."""


class Connections(Struct, frozen=True, kw_only=True):
    """The connected MQTT clients. `server`: the id of the server, for requests to it."""

    server: str
    clients: tuple[MqttConnection, ...]


class _Error(Struct):
    err_code: int = 0
    description: str = ""


class _State(Struct):
    subjects: dict[str, int] = {}


class _Stream(Struct):
    state: _State = msgspec.field(default_factory=_State)
    error: _Error | None = None


class _Names(Struct):
    total: int = 0
    consumers: list[str] | None = None
    error: _Error | None = None


class _Removed(Struct):
    error: _Error | None = None


class _Data(Struct):
    server_id: str = ""
    connections: tuple[MqttConnection, ...] = ()


class _Connz(Struct):
    data: _Data


def key(client_id: str) -> str:
    """The word by which the server names records and consumers of the session of a client."""
    return "".join(_DIGITS[byte % len(_DIGITS)] for byte in hashlib.sha256(client_id.encode()).digest()[:8])


def session_key(consumer: str) -> str:
    """The key of the session to which a consumer belongs."""
    return consumer.removeprefix(_RELEASE).partition("_")[0]


async def find(bus: Bus) -> list[MqttSession]:
    """All sessions, oldest first, also consumers left from a session that was removed from the full store."""
    info = await _asked(bus, f"{STORE}.INFO.{SESSIONS}", {"subjects_filter": ">"}, _Stream)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for stream in _STREAMS:
        for name in await _consumers(bus, stream):
            found[session_key(name)].append((stream, name))
    for subject in info.state.subjects:
        found.setdefault(subject.removeprefix(_RECORDS), [])
    return [MqttSession(key=one, consumers=tuple(consumers)) for one, consumers in found.items()]


async def connections(bus: Bus) -> Connections:
    """The connected MQTT clients."""
    answer = await bus.request(CONNECTIONS, json.dumps({"auth": True, "limit": 2 * CLIENTS}).encode(), timeout_s=5.0)
    data = _decoded(answer.data, CONNECTIONS, _Connz).data
    return Connections(server=data.server_id, clients=data.connections)


async def remove(bus: Bus, sessions: Collection[MqttSession]) -> None:
    """Remove sessions with their consumers. A client that is connected gets no more messages after that."""
    turns = asyncio.Semaphore(_AT_ONCE)

    failed: list[CountingRoomError] = []

    async def one(session: MqttSession) -> None:
        async with turns:
            if failed:
                return
            try:
                await _asked(bus, f"{STORE}.PURGE.{SESSIONS}", {"filter": f"{_RECORDS}{session.key}"}, _Removed)
                for stream, name in session.consumers:
                    await _asked(bus, f"{CONSUMERS_API}.DELETE.{stream}.{name}", None, _Removed, gone=True)
            except CountingRoomError as error:
                failed.append(error)

    async with asyncio.TaskGroup() as group:
        for session in sessions:
            group.create_task(one(session))
    if failed:
        raise failed[0]


async def remove_unconnected(bus: Bus) -> int:
    """Remove the sessions of all clients that are not connected; returns how many."""
    found = await find(bus)
    connected = {key(one.client_id) for one in (await connections(bus)).clients}
    idle = [one for one in found if one.key not in connected]
    await remove(bus, idle)
    return len(idle)


async def _consumers(bus: Bus, stream: str) -> list[str]:
    found: list[str] = []
    while True:
        page = await _asked(bus, f"{CONSUMERS_API}.NAMES.{stream}", {"offset": len(found)}, _Names)
        found += page.consumers or []
        if not page.consumers or len(found) >= page.total:
            return found


async def _asked(bus: Bus, subject: str, question: object, type_: type[_T], *, gone: bool = False) -> _T:
    data = b"" if question is None else json.dumps(question).encode()
    answer = _decoded((await bus.request(subject, data, timeout_s=_ANSWER_S)).data, subject, type_)
    error: _Error | None = getattr(answer, "error", None)
    if error and not (gone and error.err_code in _GONE):
        raise LinkError(f"the bus refuses {subject}: {error.description}", source="bus", code="mqtt")
    return answer


def _decoded(data: bytes, subject: str, type_: type[_T]) -> _T:
    try:
        return decode_json(data, type_)
    except Malformed as error:
        raise LinkError(f"the answer on {subject} is not understood: {error}", source="bus") from error
