"""The server of the memory bus: listeners, streams, buckets and leases that all clients share. No call waits."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from msgspec import Struct

from countingroom.bus.memory.link import Bells, MemoryLink
from countingroom.bus.memory.stream import MemoryStream
from countingroom.bus.memory.subjects import matches
from countingroom.bus.port import Entry, Message
from countingroom.core.clock import Clock
from countingroom.core.errors import Conflict, LinkError, RequestError


class MemoryListener(Struct, kw_only=True, eq=False):
    """A subscription: `take` is called for each message that matches the pattern."""

    link: MemoryLink
    pattern: str
    take: Callable[[Message], None]


class Responder(Struct, kw_only=True, eq=False):
    """A handler of requests. It sets the result of the future, or leaves it unset when it fails."""

    link: MemoryLink
    pattern: str
    take: Callable[[Message, asyncio.Future[bytes]], None]


class MemoryHolding(Struct, kw_only=True, eq=False):
    """A lease in the server. `deadline_s` is None while the holder's link is up."""

    holder: str
    token: int
    ttl_s: float
    deadline_s: float | None = None


class Bucket:
    """A key-value bucket: the last entry of each key, deletions included."""

    def __init__(self, name: str, max_bytes: int) -> None:
        self.name = name
        self.max_bytes = max_bytes
        self.watchers: list[Callable[[Entry], None]] = []
        self.entries: dict[str, Entry] = {}
        self._revision = self._bytes = 0

    def put(self, key: str, data: bytes | None, expected: int | None) -> int:
        """Write a key, or delete it when `data` is None; returns the new revision."""
        present = self.entries.get(key)
        alive = present is not None and present.data is not None
        revision = present.revision if present is not None else 0
        if expected is not None and revision != expected and (expected or alive):
            raise Conflict(
                f"{self.name}/{key} is at revision {revision}, not {expected}",
                source="bus",
                evidence={"revision": revision, "expected": expected},
                suggestion="read it again and decide again",
            )
        grown = self._bytes + _size(key, data) - (_size(key, present.data) if present is not None else 0)
        if data is not None and grown > self.max_bytes:
            raise RequestError(f"the bucket {self.name} is full", source="bus", code="full")
        self._bytes = grown
        self._revision += 1
        self.entries[key] = entry = Entry(key=key, data=data, revision=self._revision)
        for watcher in tuple(self.watchers):
            watcher(entry)
        return self._revision

    def matching(self, pattern: str) -> list[Entry]:
        """The existing keys that match, in the order of their last writes."""
        found = [e for e in self.entries.values() if e.data is not None and matches(pattern, e.key)]
        return sorted(found, key=lambda entry: entry.revision)


def _size(key: str, data: bytes | None) -> int:
    return len(key) + len(data or b"")


class MemoryServer:
    """Streams, buckets, leases, subscriptions and responders."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.listeners: list[MemoryListener] = []
        self.responders: list[Responder] = []
        self.ledgers: dict[str, MemoryStream] = {}
        self.grown: defaultdict[str, Bells] = defaultdict(Bells)
        """Stream -> the bells of its readers, which ring after a message was added to it."""
        self.acknowledged: dict[tuple[str, str], int] = {}
        self.buckets: dict[str, Bucket] = {}
        self.leases: dict[str, MemoryHolding] = {}
        self._tokens = 0

    def publish(self, message: Message, message_id: str = "") -> int | None:
        """Deliver to the listeners; returns the sequence when a stream covers the subject, else None."""
        sequence = None
        grown: list[str] = []
        for stream in self.ledgers.values():
            if stream.covers(message.subject):
                grown.append(stream.name)
                sequence = stream.append(
                    message.subject,
                    message.data,
                    message_id=message_id,
                    now_ns=self.clock.now_ns(),
                    now_s=self.clock.monotonic(),
                )
        self.deliver(message)
        for name in grown:
            self.grown[name].ring()
        return sequence

    def deliver(self, message: Message) -> None:
        """Deliver to the listeners only."""
        for listener in tuple(self.listeners):
            if listener.link.connected and matches(listener.pattern, message.subject):
                listener.take(message)

    def request(self, message: Message) -> asyncio.Future[bytes]:
        """Give a request to one responder; LinkError when the subject has no responder and no listener."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        responders = [r for r in self.responders if r.link.connected and matches(r.pattern, message.subject)]
        if not responders and not any(
            listener.link.connected and matches(listener.pattern, message.subject) for listener in self.listeners
        ):
            raise LinkError(f"no process answers on {message.subject}", source="bus", code="no_responders")
        self.publish(message)
        if responders:
            responders[0].take(message, answer)
        return answer

    def stream(self, name: str) -> MemoryStream:
        """The stream; LinkError when it does not exist."""
        if name not in self.ledgers:
            raise LinkError(f"there is no stream {name}", source="bus", code="no_stream")
        return self.ledgers[name]

    def bucket(self, name: str) -> Bucket:
        """The bucket; LinkError when it does not exist."""
        if name not in self.buckets:
            raise LinkError(f"there is no bucket {name}", source="bus", code="no_stream")
        return self.buckets[name]

    def held(self, name: str) -> MemoryHolding | None:
        """The lease, if it is held now."""
        holding = self.leases.get(name)
        if holding is None or (holding.deadline_s is not None and self.clock.monotonic() >= holding.deadline_s):
            return None
        return holding

    def acquire(self, name: str, ttl_s: float, holder: str) -> MemoryHolding:
        """Grant a lease; Conflict, with its holder, when it is held."""
        if present := self.held(name):
            raise Conflict(
                f"{name} is held by {present.holder}", source="bus", code="held", evidence={"holder": present.holder}
            )
        self._tokens += 1
        self.leases[name] = MemoryHolding(holder=holder, token=self._tokens, ttl_s=ttl_s)
        return self.leases[name]
