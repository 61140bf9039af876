"""Subscription, durable consumer, replay and watch of the NATS bus, on top of `Reader`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from nats.aio.msg import Msg

from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.nats.reader import CaughtUp, Delivered, Reader
from countingroom.bus.port import Current, Entry, Message, Stale, Stored
from countingroom.core.clock import timeout
from countingroom.core.subjects import POSITIONS_BUCKET

_TAKE = 256
MOST_BYTES = 64 << 20
"""Of waiting messages of one subscription: a message may have 8 MiB."""
POSITIONS = POSITIONS_BUCKET


class NatsSubscription:
    """Live messages. When it is full, of messages or of bytes, the oldest are dropped and counted."""

    def __init__(self, connection: NatsConnection, limit: int) -> None:
        self.dropped = 0
        self.news = asyncio.Event()
        self._connection = connection
        self._limit = limit
        self._size = 0
        self._messages: deque[Message] = deque()

    def receive(self, message: Msg) -> None:
        """Buffer a message."""
        self._messages.append(Message(subject=message.subject, data=message.data))
        self._size += len(message.data)
        while len(self._messages) > self._limit or (self._size > MOST_BYTES and len(self._messages) > 1):
            self._take()
            self.dropped += 1
        self.news.set()

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._connection.closed:
                raise StopAsyncIteration
            self.news.clear()
            await self.news.wait()
        return self._take()

    def _take(self) -> Message:
        message = self._messages.popleft()
        self._size -= len(message.data)
        return message


class NatsConsumer:
    """A durable consumer: a reader that stores its acknowledged position in a bucket.

    It does not use the durable consumers of JetStream, because these send unacknowledged messages again only after a
    time-out, and then after newer messages. With a stored position they come at once and in order.
    """

    def __init__(self, connection: NatsConnection, reader: Reader, key: str, acknowledged: int) -> None:
        self._connection = connection
        self._reader = reader
        self._subject = f"$KV.{POSITIONS}.{key}"
        self._acknowledged = acknowledged

    async def fetch(self, max_messages: int, *, timeout_s: float) -> list[Stored]:
        found: list[Stored] = []
        with suppress(TimeoutError):
            async with timeout(timeout_s):
                while len(found) < max_messages:
                    one = self._reader.take(max_messages - len(found))
                    found += [_stored(item) for item in one if isinstance(item, Delivered)]
                    if not one and not await self._reader.wait():
                        break
        return found

    async def acknowledge(self, sequence: int) -> None:
        if sequence > self._acknowledged:
            await self._connection.store(self._subject, str(sequence).encode())
            self._acknowledged = sequence

    async def pending(self) -> int:
        return await self._reader.pending()


async def replay(reader: Reader, *, end: int | None) -> AsyncGenerator[Stored]:
    """Yield the messages of the reader, up to the sequence `end` if given, else forever."""
    if end == 0:
        return
    while True:
        for item in reader.take(_TAKE):
            if end is None:
                if isinstance(item, Delivered):
                    yield _stored(item)
                continue
            if isinstance(item, CaughtUp) or item.sequence > end:
                return
            yield _stored(item)
            if item.sequence == end:
                return
        if not await reader.wait():
            return


async def watch(
    connection: NatsConnection, reader: Reader, bucket: str, epoch: int
) -> AsyncGenerator[Entry | Current | Stale]:
    """Yield the snapshot, Current, then changes. After a lost link: Stale, then a new snapshot.

    `epoch` is that of the connection before the reader was opened, so that a loss during the opening is not missed.
    """
    stale = False
    current = False
    skip = len(f"$KV.{bucket}.")
    while True:
        if not stale and _lost(connection, epoch):
            stale, current = True, False
            # What is unread is outdated. Left in the reader, it made this loop spin without end: the reader has items,
            # and none is taken before the link is back, which the other tasks must restore.
            reader.restart()
            yield Stale()
        if stale and connection.connected:
            epoch = connection.epoch
            stale = False
            reader.restart()
        for item in reader.take(_TAKE) if not stale else ():
            if isinstance(item, CaughtUp):
                if not current:
                    current = True
                    yield Current()
            else:
                entry = _entry(item, skip)
                # Deletion markers stay in the stream. In a snapshot they mean keys that do not exist.
                if current or entry.data is not None:
                    yield entry
        if stale == _lost(connection, epoch) and not await reader.wait():
            return


def _lost(connection: NatsConnection, epoch: int) -> bool:
    return not connection.connected or epoch != connection.epoch


def deleted(headers: dict[str, str] | None) -> bool:
    """Whether the headers mark a deleted key: by a client (`KV-Operation`) or by its TTL (`Nats-Marker-Reason`)."""
    return headers is not None and ("KV-Operation" in headers or "Nats-Marker-Reason" in headers)


def _stored(item: Delivered) -> Stored:
    message = item.message
    return Stored(subject=message.subject, data=message.data, sequence=item.sequence, stored_ns=item.stored_ns)


def _entry(item: Delivered, skip: int) -> Entry:
    message = item.message
    data = None if deleted(message.headers) else message.data
    return Entry(key=message.subject[skip:], data=data, revision=item.sequence)
