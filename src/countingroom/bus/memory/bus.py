"""The memory adapter of the bus port: server and clients in one process, with links that a test can interrupt.

`MemoryBus(clock)` is a client with its own server; `bus.client()` is another client of the same server. `cut()`
interrupts the link of one client, `mend()` restores it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from countingroom.bus.dead_letters import DeadLetters
from countingroom.bus.disconnects import departure
from countingroom.bus.memory import readers
from countingroom.bus.memory.lease import MemoryLease
from countingroom.bus.memory.link import MemoryLink
from countingroom.bus.memory.server import Bucket, MemoryListener, MemoryServer, Responder
from countingroom.bus.memory.stream import MemoryStream
from countingroom.bus.port import Current, Entry, Handler, Message, Stale, Stored
from countingroom.core.clock import Clock, SystemClock, within
from countingroom.core.errors import CountingRoomError, LinkError

_log = logging.getLogger(__name__)

_WAITING = 65536
"""Maximum number of requests waiting for a busy responder. Further ones are dropped and time out at their senders."""


class MemoryBus:
    """One client of a memory server."""

    def __init__(self, clock: Clock | None = None, *, server: MemoryServer | None = None, name: str = "") -> None:
        self._name = name
        self.dead_letters = DeadLetters()
        self.server = server or MemoryServer(clock or SystemClock())
        self._link = MemoryLink()
        self._leases: list[MemoryLease] = []

    def client(self, name: str = "") -> MemoryBus:
        """Another client of the same server."""
        return MemoryBus(server=self.server, name=name)

    def cut(self) -> None:
        """Interrupt the link of this client."""
        self._set(up=False)

    def mend(self) -> None:
        """Restore the link."""
        self._set(up=True)

    def die(self) -> None:
        """Interrupt the link for ever, as when the process of this client is killed: its leases are free at once."""
        for lease in self._leases:
            lease.free()
        self._set(up=False)

    def _set(self, *, up: bool) -> None:
        if up != self._link.up:
            for lease in self._leases:
                lease.linked(up)
            self._leases = [lease for lease in self._leases if not lease.lost]
        self._link.set(up=up)

    @property
    def connected(self) -> bool:
        return self._link.connected

    def on_link(self, callback: Callable[[bool], None]) -> None:
        self._link.callbacks.append(callback)

    async def close(self) -> None:
        if not self._link.closed:
            for lease in self._leases:
                lease.linked(False)
            self._link.close()
            self.server.publish(departure(self._name))

    async def publish(self, subject: str, data: bytes) -> None:
        self._link.check()
        self.server.publish(Message(subject=subject, data=data))

    @asynccontextmanager
    async def subscribe(self, subject: str, *, limit: int = 65536) -> AsyncGenerator[readers.MemorySubscription]:
        subscription = readers.MemorySubscription(self._link, limit)
        listener = MemoryListener(link=self._link, pattern=subject, take=subscription.take)
        self.server.listeners.append(listener)
        try:
            with self._link.news.joined(subscription.bell):
                yield subscription
        finally:
            self.server.listeners.remove(listener)

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> Message:
        self._link.check()
        answer = self.server.request(Message(subject=subject, data=data))
        self._link.asked.add(answer)
        try:
            async with within(self.server.clock, timeout_s):
                return Message(subject=subject, data=await answer)
        except TimeoutError:
            raise LinkError(
                f"no answer on {subject} within {timeout_s:g} s",
                source="bus",
                code="no_answer",
                suggestion="check whether it took effect before you try again",
            ) from None
        finally:
            self._link.asked.discard(answer)

    async def request_each(
        self,
        requests: Iterable[tuple[str, bytes]],
        take: Callable[[int, Message | CountingRoomError], None],
        *,
        timeout_s: float,
    ) -> None:
        async def ask(place: int, subject: str, data: bytes) -> None:
            try:
                take(place, await self.request(subject, data, timeout_s=timeout_s))
            except CountingRoomError as error:
                take(place, error)

        async with asyncio.TaskGroup() as group:
            for place, (subject, data) in enumerate(requests):
                group.create_task(ask(place, subject, data))

    @asynccontextmanager
    async def respond(self, subject: str, handler: Handler, *, concurrency: int = 64) -> AsyncGenerator[None]:
        free = asyncio.Semaphore(concurrency)
        running: set[asyncio.Task[None]] = set()

        async def answer(message: Message, future: asyncio.Future[bytes]) -> None:
            async with free:
                try:
                    reply = await handler(message)
                except Exception:
                    _log.exception("the handler of a request on %s failed", message.subject)
                else:
                    if not future.done() and self.connected:
                        future.set_result(reply)

        async with asyncio.TaskGroup() as group:

            def take(message: Message, future: asyncio.Future[bytes]) -> None:
                if len(running) < _WAITING:
                    task = group.create_task(answer(message, future))
                    running.add(task)
                    task.add_done_callback(running.discard)

            responder = Responder(link=self._link, pattern=subject, take=take)
            self.server.responders.append(responder)
            try:
                yield
            finally:
                self.server.responders.remove(responder)
                for task in running:
                    task.cancel()

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, first_sequence: int = 1) -> None:
        self._link.check()
        if stream := self.server.ledgers.get(name):
            stream.adapt(subjects, max_bytes=max_bytes)
        else:
            self.server.ledgers[name] = MemoryStream(name, subjects, max_bytes=max_bytes, first_sequence=first_sequence)

    async def last_sequence(self, stream: str) -> int:
        self._link.check()
        if stream not in self.server.ledgers:
            raise LinkError(f"there is no stream {stream}", source="bus", code="no_stream")
        return self.server.ledgers[stream].last

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        self._link.check()
        sequence = self.server.publish(Message(subject=subject, data=data), message_id)
        if sequence is None:
            raise LinkError(f"no stream covers {subject}", source="bus", code="no_stream")
        return sequence

    async def append_many(self, messages: Sequence[tuple[str, bytes, str]]) -> list[int | CountingRoomError]:
        return await _outcomes(self.append(subject, data, message_id=id) for subject, data, id in messages)

    @asynccontextmanager
    async def replay(
        self,
        stream: str,
        *,
        subjects: str = ">",
        from_sequence: int = 1,
        last_per_subject: bool = False,
        follow: bool = True,
    ) -> AsyncGenerator[AsyncIterator[Stored]]:
        self._link.check()
        kept = self.server.stream(stream)
        reading = readers.replay(
            self._link,
            self.server.grown[stream],
            kept,
            subjects,
            past=kept.last_per_subject(subjects) if last_per_subject else [],
            position=kept.last + 1 if last_per_subject else from_sequence,
            end=None if follow else kept.last,
        )
        async with aclosing(reading):
            yield reading

    async def consumer(self, stream: str, name: str) -> readers.MemoryConsumer:
        self._link.check()
        kept = self.server.stream(stream)
        self.server.acknowledged.setdefault((stream, name), 0)
        return readers.MemoryConsumer(self._link, self.server, kept, name)

    async def ensure_bucket(self, name: str, *, max_bytes: int = 67_108_864) -> None:
        self._link.check()
        self.server.buckets.setdefault(name, Bucket(name, max_bytes)).max_bytes = max_bytes

    async def get(self, bucket: str, key: str) -> Entry | None:
        self._link.check()
        entry = self.server.bucket(bucket).entries.get(key)
        return None if entry is None or entry.data is None else entry

    async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
        self._link.check()
        return self.server.bucket(bucket).put(key, data, expected)

    async def put_many(self, bucket: str, entries: Sequence[tuple[str, bytes | None]]) -> list[int | CountingRoomError]:
        return await _outcomes(self._put_or_delete(bucket, key, data) for key, data in entries)

    async def _put_or_delete(self, bucket: str, key: str, data: bytes | None) -> int:
        if data is not None:
            return await self.put(bucket, key, data)
        await self.delete(bucket, key)
        return self.server.bucket(bucket).entries[key].revision

    async def delete(self, bucket: str, key: str) -> None:
        self._link.check()
        self.server.bucket(bucket).put(key, None, None)

    @asynccontextmanager
    async def watch(self, bucket: str, pattern: str = ">") -> AsyncGenerator[AsyncIterator[Entry | Current | Stale]]:
        self._link.check()
        reading = readers.watch(self._link, self.server.bucket(bucket), pattern)
        async with aclosing(reading):
            yield reading

    async def acquire(self, name: str, *, ttl_s: float, holder: str) -> MemoryLease:
        self._link.check()
        lease = MemoryLease(self._link, self.server, name, ttl_s=ttl_s, holder=holder)
        self._leases.append(lease)
        return lease

    async def holder(self, lease: str) -> str:
        self._link.check()
        held = self.server.held(lease)
        return held.holder if held else ""

    async def holders(self) -> Mapping[str, str]:
        self._link.check()
        return {name: held.holder for name in self.server.leases if (held := self.server.held(name))}


async def _outcomes(attempts: Iterable[Coroutine[Any, Any, int]]) -> list[int | CountingRoomError]:
    """What each gives, or why it failed. They begin in their order, and a wait of one delays no other."""
    found: list[int | CountingRoomError] = []
    for outcome in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, CountingRoomError):
            raise outcome
        found.append(outcome)
    return found
