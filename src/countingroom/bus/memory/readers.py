"""Subscription, consumer, replay and watch of the memory bus.

After an interrupted link they continue at their position.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from countingroom.bus.memory.link import Bell, Bells, MemoryLink
from countingroom.bus.memory.server import Bucket, MemoryServer
from countingroom.bus.memory.stream import MemoryStream
from countingroom.bus.memory.subjects import matches
from countingroom.bus.port import Current, Entry, Message, Stale, Stored
from countingroom.core.clock import within


class MemorySubscription:
    """Live messages of one client. When it is full, the oldest are dropped and counted."""

    def __init__(self, link: MemoryLink, limit: int) -> None:
        self.dropped = 0
        self.bell = Bell()
        self._link = link
        self._limit = limit
        self._messages: deque[Message] = deque()

    def take(self, message: Message) -> None:
        if len(self._messages) >= self._limit:
            self._messages.popleft()
            self.dropped += 1
        self._messages.append(message)
        self.bell.ring()

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._link.closed:
                raise StopAsyncIteration
            await self.bell.wait()
        return self._messages.popleft()


class MemoryConsumer:
    """A durable consumer. The server keeps the acknowledged position."""

    def __init__(self, link: MemoryLink, server: MemoryServer, stream: MemoryStream, name: str) -> None:
        self._link = link
        self._server = server
        self._stream = stream
        self._key = (stream.name, name)
        self._next = server.acknowledged[self._key] + 1

    async def fetch(self, max_messages: int, *, timeout_s: float) -> list[Stored]:
        found: list[Stored] = []
        bell, grown = Bell(), self._server.grown[self._stream.name]
        with suppress(TimeoutError), self._link.news.joined(bell), grown.joined(bell):
            async with within(self._server.clock, timeout_s):
                while await self._link.wait_up():
                    for message in self._stream.read(">", self._next):
                        found.append(message)
                        self._next = message.sequence + 1
                        if len(found) >= max_messages:
                            return found
                    await bell.wait()
        return found

    async def acknowledge(self, sequence: int) -> None:
        self._link.check()
        done = self._server.acknowledged
        done[self._key] = max(done[self._key], sequence)

    async def pending(self) -> int:
        self._link.check()
        return sum(1 for _ in self._stream.read(">", self._next))


async def replay(
    link: MemoryLink,
    grown: Bells,
    stream: MemoryStream,
    subjects: str,
    *,
    past: list[Stored],
    position: int,
    end: int | None,
) -> AsyncGenerator[Stored]:
    """Yield the messages of `past`, then those stored from `position` on, up to `end` if given, else forever."""
    for message in past:
        yield message
    bell = Bell()
    with link.news.joined(bell), grown.joined(bell):
        while await link.wait_up():
            seen = stream.last
            for message in stream.read(subjects, position, seen if end is None else end):
                position = message.sequence + 1
                yield message
                if not link.connected:
                    break
            else:
                if end is not None:
                    return
                if stream.last == seen:
                    await bell.wait()


async def watch(link: MemoryLink, bucket: Bucket, pattern: str) -> AsyncGenerator[Entry | Current | Stale]:
    """Yield the snapshot, Current, then changes. After a lost link: Stale, then a new snapshot."""
    changes: dict[str, Entry] = {}
    current = False
    bell = Bell()

    def change(entry: Entry) -> None:
        if matches(pattern, entry.key):
            changes.pop(entry.key, None)
            changes[entry.key] = entry
            bell.ring()

    def lost(up: bool) -> None:
        nonlocal current
        if not up:
            current = False

    bucket.watchers.append(change)
    link.callbacks.append(lost)
    try:
        with link.news.joined(bell):
            while await link.wait_up():
                changes.clear()
                current = True
                for entry in bucket.matching(pattern):
                    yield entry
                yield Current()
                while current and not link.closed:
                    if changes:
                        yield changes.pop(next(iter(changes)))
                    else:
                        await bell.wait()
                if link.closed:
                    return
                yield Stale()
    finally:
        bucket.watchers.remove(change)
        link.callbacks.remove(lost)
