"""The port of the message bus: messages, requests, streams, buckets, leases. Every adapter passes
tests/contract/test_bus.py.

Delivery: `publish` reaches the present subscribers at most once. `append` returns when the message is stored. `request`
raises LinkError at once when there is no responder, and after a time-out when no answer comes; after a time-out it is
not known whether the request took effect. While the link is down, `publish`, `request`, `append` and `put` raise
LinkError at once, and `append_many` and `put_many` return it; no message is kept for later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from countingroom.bus.dead_letters import DeadLetters
    from countingroom.core.errors import CountingRoomError


class Message(Struct, frozen=True, kw_only=True):
    """A message on a subject."""

    subject: str
    data: bytes


class Stored(Struct, frozen=True, kw_only=True):
    """A message of a stream."""

    subject: str
    data: bytes
    sequence: int
    """1, 2, 3 … over the whole stream."""
    stored_ns: int
    """When the server stored it, ns since the epoch."""


class Entry(Struct, frozen=True, kw_only=True):
    """A key of a bucket with its value; `data` is None for a deleted key."""

    key: str
    data: bytes | None
    revision: int


class Current(Struct, frozen=True, kw_only=True):
    """In a watch: the snapshot is complete; what follows are changes. It comes again after every re-synchronisation."""


class Stale(Struct, frozen=True, kw_only=True):
    """In a watch: the link is down; until the next Current the known entries may be outdated."""


class Subscription(Protocol):
    """An iterator of live messages with a bounded queue.

    When it is full, the oldest are dropped and counted in `dropped`.
    """

    dropped: int

    def __aiter__(self) -> AsyncIterator[Message]: ...
    async def __anext__(self) -> Message: ...


class Consumer(Protocol):
    """A durable reader of a stream. Messages that were not acknowledged come again, also after a crash."""

    async def fetch(self, max_messages: int, *, timeout_s: float) -> list[Stored]:
        """Up to `max_messages`, in order; fewer or none when the time is over. An empty stream is not an error."""
        ...

    async def acknowledge(self, sequence: int) -> None:
        """Mark all messages up to and including this sequence as processed."""
        ...

    async def pending(self) -> int:
        """Number of messages of the stream that have not been fetched yet."""
        ...


class Lease(Protocol):
    """An exclusive lease. The adapter renews it while the link is up and the event loop of its holder runs; without
    renewal it expires and is lost. When the process of its holder dies, it is free at once, or expires."""

    name: str
    token: int
    """Fencing token: greater than that of every earlier holder."""

    @property
    def lost(self) -> bool:
        """Whether it is lost. Local knowledge, never later than the server gives the lease to another client."""
        ...

    @property
    def is_held(self) -> bool:
        """Whether it is held at this moment. It only reads, so any thread may ask."""
        ...

    async def wait_lost(self) -> None: ...

    async def release(self) -> None:
        """Give it up, so that another client need not wait for the TTL."""
        ...


Handler = Callable[[Message], Awaitable[bytes]]


class Bus(Protocol):
    """A connection to the bus. The `connect` of an adapter creates it; it is used until `close`."""

    @property
    def connected(self) -> bool: ...

    @property
    def dead_letters(self) -> DeadLetters:
        """Where followers put what they cannot decode. One for all connections of a process."""
        ...

    def on_link(self, callback: Callable[[bool], None]) -> None:
        """Call back with True when the link comes up, and with False when it goes down."""
        ...

    async def publish(self, subject: str, data: bytes) -> None: ...

    def subscribe(self, subject: str, *, limit: int = 65536) -> AbstractAsyncContextManager[Subscription]:
        """Live messages; `*` stands for one token, `>` for all further ones. In force once entered, also after a
        reconnection."""
        ...

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> Message: ...

    async def request_each(
        self,
        requests: Iterable[tuple[str, bytes]],
        take: Callable[[int, Message | CountingRoomError], None],
        *,
        timeout_s: float,
    ) -> None:
        """Send requests, each with its subject and data, in this order, and return after the last answer. `take` is
        called with the place of each request and its answer as it comes, or the error that `request` raises. Of many
        requests the later ones are sent when some are answered, or a moment later."""
        ...

    def respond(self, subject: str, handler: Handler, *, concurrency: int = 64) -> AbstractAsyncContextManager[None]:
        """Answer requests while entered. When the handler raises, the exception is logged and no answer is sent. At
        most `concurrency` handlers run at once; further requests wait."""
        ...

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, first_sequence: int = 1) -> None:
        """Create the stream, or change the existing one. `first_sequence`: of the first message of a new stream."""
        ...

    async def last_sequence(self, stream: str) -> int:
        """Sequence of the newest message of a stream, also where it is gone; LinkError when there is no stream."""
        ...

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        """Store in the stream that covers the subject; returns the sequence.

        A message_id that is used twice within two minutes is stored once, so that a retry makes no duplicate. LinkError
        when the server did not acknowledge: the message may or may not be stored.
        """
        ...

    async def append_many(self, messages: Sequence[tuple[str, bytes, str]]) -> list[int | CountingRoomError]:
        """Store messages, each with subject, data and message_id (empty: none), in this order. All are sent before the
        first acknowledgement is waited for: give some hundreds at once. For each one its sequence, or the error that
        `append` raises."""
        ...

    def replay(
        self,
        stream: str,
        *,
        subjects: str = ">",
        from_sequence: int = 1,
        last_per_subject: bool = False,
        follow: bool = True,
    ) -> AbstractAsyncContextManager[AsyncIterator[Stored]]:
        """Stored messages in order, without gaps, from a sequence on, or the last one of each subject.

        With `follow` new messages come as they are stored, also after a reconnection. Without, it ends with the message
        that was the last one at the start.
        """
        ...

    async def consumer(self, stream: str, name: str) -> Consumer: ...

    async def ensure_bucket(self, name: str, *, max_bytes: int = 67_108_864) -> None: ...

    async def get(self, bucket: str, key: str) -> Entry | None: ...

    async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
        """Write a key; returns the new revision. With `expected`, Conflict when the key has another revision (0: must
        not exist)."""
        ...

    async def put_many(self, bucket: str, entries: Sequence[tuple[str, bytes | None]]) -> list[int | CountingRoomError]:
        """Write keys, each with its data (None: delete it), in this order. All are sent before the first
        acknowledgement is waited for: give some hundreds at once. For each one its revision, or the error that `put`
        raises; what becomes of the others does not depend on it."""
        ...

    async def delete(self, bucket: str, key: str) -> None: ...

    def watch(
        self, bucket: str, pattern: str = ">"
    ) -> AbstractAsyncContextManager[AsyncIterator[Entry | Current | Stale]]:
        """The matching keys, then Current, then every change in order.

        Stale when the link goes down; when it is up again, a new snapshot and Current. A change may be skipped when a
        later change of the same key replaces it.
        """
        ...

    async def acquire(self, name: str, *, ttl_s: float, holder: str) -> Lease:
        """Become the holder; Conflict, with the present holder, when the lease is held."""
        ...

    async def holder(self, lease: str) -> str:
        """The holder of a lease now; empty: it is free."""
        ...

    async def holders(self) -> Mapping[str, str]:
        """Lease name -> holder, for all leases that are held now."""
        ...

    async def close(self) -> None: ...
