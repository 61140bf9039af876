"""Law: what a bus is. Every adapter passes tests/contract/test_bus.py; nothing above knows which one it has.

Delivery: `publish` is at most once to whoever listens now. `append` is acknowledged once stored. `request` fails with
LinkError when nobody listens (at once) or nobody answers in time; a timeout means unknown. While the link is down,
`publish`, `request`, `append` and `put` raise LinkError at once; nothing is kept to be sent later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct


class Message(Struct, frozen=True, kw_only=True):
    """Something that came on a subject."""

    subject: str
    data: bytes


class Stored(Struct, frozen=True, kw_only=True):
    """A message of a stream, with its place in it."""

    subject: str
    data: bytes
    sequence: int
    """1, 2, 3 … over the whole stream."""
    stored_ns: int
    """When the server took it."""


class Entry(Struct, frozen=True, kw_only=True):
    """A key of a bucket. `data` is None for a key that was deleted."""

    key: str
    data: bytes | None
    revision: int


class Current(Struct, frozen=True, kw_only=True):
    """In a watch: the snapshot ends here; what follows are changes. Also sent again after every re-synchronisation."""


class Stale(Struct, frozen=True, kw_only=True):
    """In a watch: the link is down; what was seen may no longer be true until the next Current."""


class Subscription(Protocol):
    """An iterator of live messages. Bounded: when its reader is slower than its sender the oldest are dropped and
    counted in `dropped`."""

    dropped: int

    def __aiter__(self) -> AsyncIterator[Message]: ...
    async def __anext__(self) -> Message: ...


class Consumer(Protocol):
    """A durable reader of a stream: what it has not acknowledged comes again, also after any crash."""

    async def fetch(self, max_messages: int, *, timeout_s: float) -> list[Stored]:
        """Up to that many, in order; fewer, or none, when the time is over. Never raises for an empty stream."""
        ...

    async def acknowledge(self, sequence: int) -> None:
        """Everything up to and including this sequence is done with."""
        ...

    async def pending(self) -> int:
        """How many messages of the stream have not been fetched yet."""
        ...


class Lease(Protocol):
    """Being the one. Lost when not renewed; the adapter renews it by itself while the link is up."""

    name: str
    token: int
    """Fencing token: greater than that of every earlier holder."""

    @property
    def lost(self) -> bool: ...

    async def wait_lost(self) -> None: ...
    async def release(self) -> None: ...


Handler = Callable[[Message], Awaitable[bytes]]


class Bus(Protocol):
    """The corridor. Made connected by its adapter's `connect`, used until `close`."""

    @property
    def connected(self) -> bool: ...

    def on_link(self, callback: Callable[[bool], None]) -> None:
        """Call back with True and False whenever the link comes and goes."""
        ...

    async def publish(self, subject: str, data: bytes) -> None: ...

    def subscribe(self, subject: str, *, limit: int = 65536) -> AbstractAsyncContextManager[Subscription]:
        """Live messages; `*` stands for one token, `>` for the rest. In force once entered; survives reconnection."""
        ...

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> Message: ...

    def respond(self, subject: str, handler: Handler, *, concurrency: int = 64) -> AbstractAsyncContextManager[None]:
        """Answer requests while entered. An exception of the handler is logged and answered by silence; more than
        `concurrency` at once wait."""
        ...

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, max_age_s: float = 0) -> None:
        """Make the stream, or adapt the one there is."""
        ...

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        """Store in the stream that covers the subject; its sequence. The same message_id within two minutes is stored
        once. LinkError when it was not acknowledged: then it may or may not be stored."""
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
        """Stored messages in order, without holes, from a sequence (or the last of each subject), then, with `follow`,
        live; without, it ends at what was last when it began. Survives reconnection."""
        ...

    async def consumer(self, stream: str, name: str, *, subjects: str = ">", from_sequence: int = 1) -> Consumer: ...

    async def ensure_bucket(self, name: str, *, history: int = 1, max_bytes: int = 67_108_864) -> None: ...

    async def get(self, bucket: str, key: str) -> Entry | None: ...

    async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
        """Write; the new revision. With `expected` (0: must not exist) Conflict when the key is at another revision."""
        ...

    async def delete(self, bucket: str, key: str) -> None: ...

    def watch(
        self, bucket: str, pattern: str = ">"
    ) -> AbstractAsyncContextManager[AsyncIterator[Entry | Current | Stale]]:
        """The keys that match as they are, Current, then every change in order. Stale when the link goes; when it is
        back a new snapshot and Current. A change may be skipped where a later one of the same key replaces it."""
        ...

    async def acquire(self, name: str, *, ttl_s: float, holder: str) -> Lease:
        """Become the holder; Conflict, naming the present one, where there is one."""
        ...

    async def holders(self) -> Mapping[str, str]:
        """Lease name -> holder, for those held now."""
        ...

    async def close(self) -> None: ...
