"""The driver of MQTT boards: one connection that subscribes, and publishes the setpoints of values with `set_topic`.

When the connection ends, every point is STALE and `read` raises. While a board is offline, its points are STALE.
"""

from __future__ import annotations

import asyncio
import logging
import select
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from aiomqtt import Client, Message, MqttError, ProtocolVersion

from countingroom.core.clock import Clock, SystemClock, cancellation_kept
from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.password import read_password
from countingroom.devices.drivers.mqtt.payloads import MOST_PAYLOAD, is_online, sample, setpoint
from countingroom.devices.drivers.mqtt.topics import availability_routes, routes
from countingroom.devices.port import Sample, Sink

KEEPALIVE_S = 5
"""The connection counts as lost after 1.5 times this without an answer."""

AT_ONCE = 256
"""Messages that are read and taken together. A board sends its values at once. One by one, each of them was a message
of readings for every reader on the bus, and a turn of the event loop for all other devices of the host."""
WAITING = 10_000
"""Bound of the queue of messages; further ones are dropped."""
WAITING_BYTES = 16 << 20
"""Bound of the payloads in the queue."""

_REFUSED = 0x80
"""Reason codes from here on refuse a subscription."""

_log = logging.getLogger(__name__)
_quiet = logging.getLogger("countingroom.devices.drivers.mqtt.client")
_quiet.setLevel(logging.CRITICAL)


class PayloadQueue(asyncio.Queue[Message]):
    """The queue of aiomqtt, with a bound in bytes: a broker may send payloads of 256 MB. Of a payload that is too large
    only so much is kept that it is seen to be too large."""

    def __init__(self, maxsize: int = 0, *, on_drop: Callable[[], None] = lambda: None) -> None:
        self._size = 0
        self._on_drop = on_drop
        super().__init__(maxsize)

    def put_nowait(self, item: Message) -> None:
        """Raises QueueFull, and aiomqtt then drops the message, where there is no room."""
        item.payload = bytes(item.payload[: MOST_PAYLOAD + 1])
        if self.full() or self._size + len(item.payload) > WAITING_BYTES:
            self._on_drop()
            raise asyncio.QueueFull
        super().put_nowait(item)
        self._size += len(item.payload)

    def get_nowait(self) -> Message:
        item = super().get_nowait()
        self._size -= len(item.payload)
        return item


class TolerantClient(Client):
    """A client that drops a message with an invalid topic: one with a wildcard, or one that is not UTF-8.

    The client of aiomqtt ends the connection for one such message. A broker must refuse them, and some do not."""

    def __init__(self, *given: Any, on_odd: Callable[[str], None], **named: Any) -> None:
        self._on_odd = on_odd
        super().__init__(*given, **named)

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        super()._on_socket_open(client, userdata, sock)

        def read() -> None:
            try:
                for _ in range(AT_ONCE):
                    client.loop_read()  # one message
                    if not _has_more(client.socket()):
                        break
            except Exception as error:  # as that of aiomqtt, whose place it takes
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        # This may be another thread, that of the opening.
        self._loop.call_soon_threadsafe(self._loop.add_reader, sock.fileno(), read)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        try:
            super()._on_message(client, userdata, message)
        except ValueError as error:  # UnicodeDecodeError is one
            self._on_odd(str(error))


def _has_more(sock: Any) -> bool:
    """Whether there is more to read now, in the socket or in its wrapper, for TLS or a websocket."""
    if sock is None:  # the connection has just ended
        return False
    if hasattr(sock, "pending") and sock.pending():
        return True
    ready = select.poll()
    ready.register(sock, select.POLLIN)
    return bool(ready.poll(0))


def location(section: MqttSensorsSection) -> str:
    """The address of the broker."""
    if section.transport == "websockets":
        return f"{'wss' if section.tls_ca else 'ws'}://{section.host}:{section.port}{section.path}"
    return f"mqtt://{section.host}:{section.port}"


class MqttSensorsDriver:
    """Boards that publish by themselves. A MonitoringDriver."""

    def __init__(self, section: MqttSensorsSection, clock: Clock | None = None) -> None:
        self._section = section
        self._clock = clock or SystemClock()
        self._routes = routes(section)
        self._availability = availability_routes(section)
        self._by_point = {route.point.name: route for route in self._routes}
        self._offline: dict[str, set[int]] = {}
        """Channels of boards that are offline, with the rules of availability that say so. That a bridge is online
        does not mean that its boards are."""
        self._dropped_messages = 0
        self._is_odd = False
        """Whether the broker sent a message that no broker may send, which is told once."""
        self._source = location(section)
        self._client: Client | None = None
        self._queue: PayloadQueue | None = None
        self._latest: dict[str, Sample] = {}
        self._sink: Sink = self._remember
        self._task: asyncio.Task[None] | None = None
        self._entered = asyncio.Event()
        self._listening = False

    @property
    def points(self) -> tuple[Point, ...]:
        """One point for each value of each board."""
        return tuple(route.point for route in self._routes)

    @property
    def thinned(self) -> int:
        """Messages that found no room in the queue."""
        return self._dropped_messages

    def _dropped(self) -> None:
        self._dropped_messages += 1

    def _ignore(self, reason: str) -> None:
        if not self._is_odd:
            _log.warning("%s: messages of the broker are ignored: %s", self._source, reason)
        self._is_odd = True

    def monitor(self, sink: Sink) -> None:
        """Pass every sample to the sink."""
        self._sink = sink

    async def connect(self) -> None:
        """Connect to the broker and subscribe."""
        await self.close()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._entered.clear()
        self._task = asyncio.create_task(self._listen(ready))
        await ready

    async def read(self) -> Sequence[Sample]:
        """The last sample of each point; LinkError when there is no connection."""
        if not self._listening:
            raise LinkError("there is no connection to the broker", source=self._source)
        return list(self._latest.values())

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Publish a setpoint, never retained: a board that comes later must not execute it. With QoS 1 and 2 the broker
        has it when this returns; LinkError when it does not confirm in time. DeviceError for what is read only."""
        route = self._by_point.get(point)
        if route is None or not route.set_topic:
            raise DeviceError(f"{point} is a sensor and cannot be written", source=self._source)
        if self._client is None or not self._listening:
            raise LinkError("there is no connection to the broker", source=self._source)
        payload = setpoint(route.value, value)
        try:
            with cancellation_kept():
                await self._client.publish(route.set_topic, payload, qos=route.value.qos, retain=False)
        except (MqttError, ValueError) as error:
            raise LinkError(
                f"the setpoint was not confirmed by the broker: {error}",
                source=self._source,
                suggestion="check the link to the broker, and that this user may publish on the topic",
            ) from error

    async def close(self) -> None:
        """End the connection."""
        task, self._task = self._task, None
        if task:
            # aiomqtt cannot be closed while it connects. The attempt ends at its time-out at the latest.
            await self._entered.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._listening = False
        self._latest.clear()
        self._offline.clear()

    async def _listen(self, ready: asyncio.Future[None]) -> None:
        try:
            await self._run_client(ready)
        except (MqttError, OSError, ValueError) as error:
            reason = LinkError(
                f"no connection to the broker: {error}",
                source=self._source,
                suggestion="check that the broker runs at this address and accepts this user",
            )
            _end(ready, reason)
        except (ConfigurationError, LinkError) as error:
            _end(ready, error)
        finally:
            self._entered.set()
            _end(ready, LinkError("the connection was closed", source=self._source))
            if self._listening:
                self._listening = False
                self._give([Sample(point=p.name, value=None, quality=Quality.STALE) for p in self.points])

    async def _run_client(self, ready: asyncio.Future[None]) -> None:
        async with self._new_client() as client:
            self._entered.set()
            await self._subscribe(client)
            self._client = client
            self._listening = True
            if not ready.done():
                ready.set_result(None)
            try:
                async for message in client.messages:
                    self._take(message)
                    self._take_waiting()
            finally:
                self._client = None

    async def _subscribe(self, client: Client) -> None:
        """Subscribe to every topic. A refused one is logged, and its values are BAD; LinkError where the broker refuses
        all."""
        topics = dict.fromkeys(route.filter for route in (*self._routes, *self._availability))
        refused: list[str] = []
        for topic in topics:
            with cancellation_kept():
                answer = await client.subscribe(topic)
            if any((code if isinstance(code, int) else code.value) >= _REFUSED for code in answer):
                refused.append(topic)
        if not refused:
            return
        message = f"the broker refuses user {self._section.user or 'anonymous'} the topics {', '.join(refused)}"
        if len(refused) == len(topics):
            raise LinkError(
                message, source=self._source, suggestion="allow these topics in the permissions of the broker"
            )
        _log.warning("%s: %s", self._source, message)
        self._give(
            [
                Sample(
                    point=route.point.name,
                    value=None,
                    quality=Quality.BAD,
                    reason=f"the broker refuses the topic {route.filter}",
                )
                for route in self._routes
                if route.filter in refused
            ]
        )

    def _new_client(self) -> Client:
        section = self._section
        return TolerantClient(
            section.host,
            section.port,
            on_odd=self._ignore,
            username=section.user or None,
            password=read_password(section, self._source),
            identifier=section.client_id or None,
            tls_context=ssl.create_default_context(cafile=section.tls_ca) if section.tls_ca else None,
            protocol=ProtocolVersion.V5 if section.version == "5" else ProtocolVersion.V311,
            transport=section.transport,
            websocket_path=section.path if section.transport == "websockets" else None,
            timeout=section.timeout,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=WAITING,
            queue_type=cast("type[PayloadQueue]", self._new_queue),
            logger=_quiet,
        )

    def _new_queue(self, maxsize: int = 0) -> PayloadQueue:
        self._queue = PayloadQueue(maxsize, on_drop=self._dropped)
        return self._queue

    def _take_waiting(self) -> None:
        for _ in range(AT_ONCE):
            if self._queue is None or self._queue.empty():
                break
            self._take(self._queue.get_nowait())

    def _take(self, message: Message) -> None:
        topic, payload, now_ns = str(message.topic), bytes(message.payload), self._clock.now_ns()
        samples: list[Sample] = []
        for route in self._routes:
            if not route.pattern.matches(topic):
                continue
            if route.point.channel in self._offline:
                if message.retain:
                    continue  # the last value of a board that is not there
                # It speaks, whatever was said of it.
                del self._offline[route.point.channel]
            if (one := sample(route, payload, retained=message.retain, now_ns=now_ns)) is not None:
                samples.append(one)
        samples += self._availability_samples(topic, payload)
        if samples:
            self._give(samples)

    def _availability_samples(self, topic: str, payload: bytes) -> list[Sample]:
        """Remember which boards are there; the points of those that are not any more, as STALE."""
        gone: set[str] = set()
        for number, route in enumerate(self._availability):
            if not route.pattern.matches(topic) or (online := is_online(route.rule, payload)) is None:
                continue
            for channel in {route.channel} if route.channel else {point.channel for point in self.points}:
                if online:
                    self._say_online(channel, number)
                else:
                    self._offline.setdefault(channel, set()).add(number)
                    gone.add(channel)
        return [
            Sample(point=point.name, value=None, quality=Quality.STALE)
            for point in self.points
            if point.channel in gone
        ]

    def _say_online(self, channel: str, rule: int) -> None:
        rules = self._offline.get(channel, set())
        rules.discard(rule)
        if not rules:
            self._offline.pop(channel, None)

    def _give(self, samples: list[Sample]) -> None:
        self._remember(samples)
        self._sink(samples)

    def _remember(self, samples: Sequence[Sample]) -> None:
        self._latest.update({one.point: one for one in samples})


def _end(ready: asyncio.Future[None], reason: Exception) -> None:
    if not ready.done():
        ready.set_exception(reason)
        ready.exception()  # marks it as retrieved: `connect` may have been cancelled
