"""The NATS adapter of the bus port. `port.py` documents the behaviour of each method."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from nats.aio.msg import Msg

from countingroom.bus.dead_letters import DeadLetters
from countingroom.bus.login import BusLogin, FindBusLogin
from countingroom.bus.nats import views
from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.nats.lease import NatsLease, holder_of
from countingroom.bus.nats.open_requests import Outgoing
from countingroom.bus.nats.reader import Reader
from countingroom.bus.nats.renewal_messages import RenewerSettings
from countingroom.bus.nats.renewal_process import LaunchRenewer, RenewalProcess
from countingroom.bus.nats.store import DELETION, JetStreamStore
from countingroom.bus.port import Current, Entry, Handler, Message, Stale, Stored
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.subjects import LEASE_BUCKET

_log = logging.getLogger(__name__)

_QUEUE = "responders"
"""Queue group: of several responders on a subject, one receives each request."""
_WAITING = 65536
"""Limit of the requests that one responder has not begun."""
_FROM_STREAM = "$JS."
_POSITIONS_BYTES = 1 << 20


async def connect(
    url: str,
    *,
    name: str,
    user: str = "",
    password: str = "",
    login: FindBusLogin | None = None,
    clock: Clock | None = None,
    timeout_s: float = 10.0,
    replicas: int = 1,
    dead_letters: DeadLetters | None = None,
    launch_renewer: LaunchRenewer | None = None,
) -> NatsBus:
    """Connect to the servers of the URL (several separated by commas).

    LinkError when no server is reached in time, Denied when it refuses the login. `login` gives it for each connection,
    in place of `user` and `password`. `replicas`: number of servers of a cluster that store a new stream.
    `dead_letters`: those of the process; own ones when missing. `launch_renewer`: starts the process that renews the
    leases; without one the event loop renews them, which is too late on a busy machine.
    """
    connection = NatsConnection()
    fixed = BusLogin(user=user, password=password)
    find_login: FindBusLogin = login or (lambda: fixed)
    await connection.connect(url, name=name, login=find_login, timeout_s=timeout_s)
    clock = clock or SystemClock()

    def settings(page: str) -> RenewerSettings:
        return RenewerSettings(url=url, name=f"{name} leases", login=find_login(), page=page)

    return NatsBus(
        connection,
        clock,
        replicas=replicas,
        dead_letters=dead_letters or DeadLetters(),
        renewal=RenewalProcess(launch_renewer, settings, clock, lambda: connection.connected)
        if launch_renewer and sys.platform == "linux"  # elsewhere there are no anonymous files in memory
        else None,
    )


class NatsBus:
    """The bus over NATS. Created by `connect`."""

    def __init__(
        self,
        connection: NatsConnection,
        clock: Clock,
        *,
        replicas: int,
        dead_letters: DeadLetters,
        renewal: RenewalProcess | None = None,
    ) -> None:
        self.dead_letters = dead_letters
        self._connection = connection
        self._clock = clock
        self._store = JetStreamStore(connection, replicas)
        self._renewal = renewal
        self._leases: dict[str, NatsLease] = {}
        """Name -> the last one that this client held."""
        self._renewing: set[asyncio.Task[None]] = set()
        self._consumers: list[Reader] = []

    @property
    def connected(self) -> bool:
        return self._connection.connected

    def on_link(self, callback: Callable[[bool], None]) -> None:
        self._connection.callbacks.append(callback)

    async def close(self) -> None:
        for task in self._renewing:
            task.cancel()
        await asyncio.gather(*self._renewing, return_exceptions=True)
        if self._renewal:
            await self._renewal.close()
        await self._connection.close()

    async def publish(self, subject: str, data: bytes) -> None:
        await self._connection.publish(subject, data)

    @asynccontextmanager
    async def subscribe(self, subject: str, *, limit: int = 65536) -> AsyncGenerator[views.NatsSubscription]:
        messages = views.NatsSubscription(self._connection, limit)
        subscription = await self._connection.subscribe(subject, messages.receive)
        self._connection.news.add(messages.news)
        try:
            yield messages
        finally:
            self._connection.news.discard(messages.news)
            await self._connection.unsubscribe(subscription)

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> Message:
        answer = await self._connection.request(subject, data, timeout_s=timeout_s)
        return Message(subject=subject, data=answer.data)

    async def request_each(
        self,
        requests: Iterable[tuple[str, bytes]],
        take: Callable[[int, Message | CountingRoomError], None],
        *,
        timeout_s: float,
    ) -> None:
        def taken(place: int, outcome: Msg | CountingRoomError) -> None:
            is_error = isinstance(outcome, CountingRoomError)
            take(place, outcome if is_error else Message(subject=outcome.subject, data=outcome.data))

        messages = (Outgoing(subject, data) for subject, data in requests)
        await self._connection.request_each(messages, taken, timeout_s=timeout_s)

    @asynccontextmanager
    async def respond(self, subject: str, handler: Handler, *, concurrency: int = 64) -> AsyncGenerator[None]:
        running: set[asyncio.Task[None]] = set()
        waiting: deque[Msg] = deque()

        async def answer(message: Msg) -> None:
            try:
                data = await handler(Message(subject=message.subject, data=message.data))
            except Exception:
                # One faulty request must not end the handler for all others. Its sender gets no reply.
                _log.exception("the handler of a request on %s failed", message.subject)
            else:
                if message.reply:
                    await self._connection.reply(message.reply, data)

        async with asyncio.TaskGroup() as group:

            def begin(message: Msg) -> None:
                task = group.create_task(answer(message))
                running.add(task)
                task.add_done_callback(end)

            def end(task: asyncio.Task[None]) -> None:
                running.discard(task)
                if waiting and not task.cancelled():
                    begin(waiting.popleft())

            def receive(message: Msg) -> None:
                if message.reply.startswith(_FROM_STREAM):
                    # A client that may read a stream can let the server send its messages to any subject, also to one
                    # on which it may not publish itself.
                    _log.warning("a message of a stream on %s is no request and is dropped", message.subject)
                elif len(running) < concurrency:
                    begin(message)
                elif len(waiting) < _WAITING:
                    waiting.append(message)
                else:
                    _log.warning("%d requests on %s wait already; one is dropped", _WAITING, message.subject)

            subscription = await self._connection.subscribe(subject, receive, queue=_QUEUE)
            try:
                yield
            finally:
                await self._connection.unsubscribe(subscription)
                waiting.clear()
                for task in tuple(running):
                    task.cancel()

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, first_sequence: int = 1) -> None:
        first = {"first_seq": first_sequence} if first_sequence > 1 else {}
        await self._store.stream(name, subjects, max_bytes=max_bytes, **first)

    async def last_sequence(self, stream: str) -> int:
        return await self._store.last_sequence(stream)

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        return await self._store.append(subject, data, message_id)

    async def append_many(self, messages: Sequence[tuple[str, bytes, str]]) -> list[int | CountingRoomError]:
        return await self._store.append_all(messages)

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
        end = None if follow else await self._store.last_sequence(stream)
        position = 1 if last_per_subject else from_sequence
        reader = Reader(self._connection, stream, subjects, position=position, last_each=last_per_subject)
        await reader.open()
        try:
            async with aclosing(views.replay(reader, end=end)) as messages:
                yield messages
        finally:
            await reader.close()

    async def consumer(self, stream: str, name: str) -> views.NatsConsumer:
        await self._store.bucket(views.POSITIONS, max_bytes=_POSITIONS_BYTES)
        key = f"{stream}.{name}"
        last = await self._store.last(views.POSITIONS, key)
        if last is None or last.data is None:
            await self._store.write(views.POSITIONS, key, b"0", expected=None)
        acknowledged = self._position(key, last.data) if last and last.data else 0
        reader = Reader(self._connection, stream, ">", position=acknowledged + 1)
        await reader.open()
        self._consumers.append(reader)
        return views.NatsConsumer(self._connection, reader, key, acknowledged)

    def _position(self, key: str, data: bytes) -> int:
        try:
            return max(0, int(data))
        except ValueError as error:  # the reader begins at the start and passes over what it has
            self.dead_letters.add(f"$KV.{views.POSITIONS}.{key}", data, error)
            return 0

    async def ensure_bucket(self, name: str, *, max_bytes: int = 67_108_864) -> None:
        await self._store.bucket(name, max_bytes=max_bytes)

    async def get(self, bucket: str, key: str) -> Entry | None:
        last = await self._store.last(bucket, key)
        return None if last is None or last.data is None else Entry(key=key, data=last.data, revision=last.revision)

    async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
        return await self._store.write(bucket, key, data, expected=expected)

    async def put_many(self, bucket: str, entries: Sequence[tuple[str, bytes | None]]) -> list[int | CountingRoomError]:
        return await self._store.write_all(bucket, entries)

    async def delete(self, bucket: str, key: str) -> None:
        await self._store.write(bucket, key, b"", expected=None, headers=DELETION)

    @asynccontextmanager
    async def watch(self, bucket: str, pattern: str = ">") -> AsyncGenerator[AsyncIterator[Entry | Current | Stale]]:
        epoch = self._connection.epoch
        reader = Reader(self._connection, f"KV_{bucket}", f"$KV.{bucket}.{pattern}", last_each=True)
        await reader.open()
        try:
            async with aclosing(views.watch(self._connection, reader, bucket, epoch)) as entries:
                yield entries
        finally:
            await reader.close()

    async def acquire(self, name: str, *, ttl_s: float, holder: str) -> NatsLease:
        if self._renewal:
            self._renewal.start()
        former = self._leases.get(name)
        lease = NatsLease(
            self._store, self._clock, name, ttl_s=ttl_s, holder=holder, process=self._renewal, former=former
        )
        await lease.acquire()
        self._leases[name] = lease
        task = asyncio.create_task(lease.keep(), name=f"lease {name}")
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)
        return lease

    async def holder(self, lease: str) -> str:
        try:
            last = await self._store.last(LEASE_BUCKET, lease)
        except LinkError as error:
            if error.cause.code != "no_stream":
                raise
            return ""
        return holder_of(last.data) if last and last.data is not None else ""

    async def holders(self) -> Mapping[str, str]:
        held: dict[str, str] = {}
        try:
            async with self.watch(LEASE_BUCKET) as entries:
                async for entry in entries:
                    if not isinstance(entry, Entry):
                        break
                    if entry.data is not None:
                        held[entry.key] = holder_of(entry.data)
        except LinkError as error:
            if error.cause.code != "no_stream":
                raise
        return held
