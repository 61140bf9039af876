"""Reads a stream in order and without gaps, across lost links and restarts of the server.

A reader pulls messages through an ephemeral consumer on the server. The consumer numbers its messages and sends a
heartbeat every second. After a gap in the numbers, 3 s of silence, or a reconnection, the reader creates a new
consumer at its present position.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import deque
from typing import Any

from msgspec import Struct
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from countingroom.bus.nats.connection import ApiError, NatsConnection
from countingroom.core.clock import timeout
from countingroom.core.errors import LinkError

_log = logging.getLogger(__name__)

RESTORING = "countingroom-restoring"
"""Metadata of a bucket that the server lost and whose keys are being put back. A snapshot of it would miss keys."""
_BATCH = 256
"""Messages per pull request; up to as many more are buffered for a slow reader."""
_HEARTBEAT_S, _SILENCE_S = 1.0, 3.0
_PULL_S = 30.0
_IDLE_S = 60.0
"""The server deletes a consumer after this time without a pull."""
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.05, 1.0


class Delivered(Struct, frozen=True):
    """A message of the stream."""

    message: Msg
    sequence: int
    stored_ns: int


class CaughtUp(Struct, frozen=True):
    """All messages that existed when the consumer was created have been delivered. Comes once for each consumer."""


class Reader:
    """A position in a stream. Call `wait`, then `take`."""

    def __init__(
        self, connection: NatsConnection, stream: str, subjects: str, *, position: int = 1, last_each: bool = False
    ) -> None:
        self.position = position
        """The lowest possible sequence of the next message."""
        self._connection = connection
        self._stream = stream
        self._subjects = subjects
        self._last_each = last_each
        """While true, a new consumer starts with the last message of each subject."""
        self._buffer: deque[Delivered | CaughtUp] = deque()
        self._news = asyncio.Event()
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._consumer = ""
        self._epoch = 0
        self._count = 0
        """Messages received from the present consumer."""
        self._past = 0
        """Messages that existed when the present consumer was created."""
        self._under_way = 0
        """Messages requested and not yet received."""
        self._caught_up = False
        self._idle = False
        """A heartbeat came: the consumer has no message for us at the moment."""

    async def open(self) -> None:
        """Subscribe and create the first consumer; LinkError when the stream does not exist."""
        self._inbox = self._connection.client.new_inbox()
        self._subscription = await self._connection.subscribe(f"{self._inbox}.*", self._receive)
        self._connection.news.add(self._news)
        try:
            await self._begin()
        except BaseException as error:
            # Also when cancelled: the subscription would go on to receive, and its buffer would never be read.
            await self.close()
            if isinstance(error, ApiError):
                raise LinkError(f"there is no stream {self._stream}", source="bus", code="no_stream") from None
            raise

    async def close(self) -> None:
        """End the subscription. The server deletes the consumer by itself after some time."""
        self._consumer = ""
        self._connection.news.discard(self._news)
        if self._subscription:
            subscription, self._subscription = self._subscription, None
            await self._connection.unsubscribe(subscription)

    def restart(self) -> None:
        """Start again with the last message of each subject."""
        self._buffer.clear()
        self.position = 1
        self._last_each = True
        self._consumer = ""

    def take(self, most: int) -> list[Delivered | CaughtUp]:
        """Up to `most` buffered items, without waiting."""
        buffer = self._buffer
        return [buffer.popleft() for _ in range(min(most, len(buffer)))]

    async def wait(self) -> bool:
        """Wait until there is an item to take or the link has changed; False when the bus is closed."""
        pause, link = _FIRST_PAUSE_S, self._link()
        while not self._connection.closed and self._link() == link:
            try:
                await self._request_more()
            except (LinkError, ApiError) as error:
                self._consumer = ""
                _log.debug("reading %s continues in %g s: %s", self._stream, pause, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MOST_PAUSE_S)
            if self._buffer:
                return True
            if self._consumer or not self._connection.connected:
                await self._next_news()
        return not self._connection.closed

    async def pending(self) -> int:
        """Number of messages in the stream that have not been taken yet. The server may count one a moment after it is
        stored."""
        if not self._consumer or self._epoch != self._connection.epoch:
            await self._begin()
        info = await self._connection.api(f"CONSUMER.INFO.{self._stream}.{self._consumer}")
        under_way = int(info["delivered"]["consumer_seq"]) - self._count
        waiting = sum(isinstance(one, Delivered) for one in self._buffer)
        return int(info["num_pending"]) + max(0, under_way) + waiting

    def _link(self) -> tuple[bool, int]:
        return self._connection.connected, self._connection.epoch

    async def _next_news(self) -> None:
        """Wait for a message, a heartbeat or a change of the link; after a long silence, abandon the consumer."""
        self._news.clear()
        try:
            async with timeout(_SILENCE_S if self._connection.connected else None):
                await self._news.wait()
        except TimeoutError:
            self._consumer = ""

    async def _request_more(self) -> None:
        """Create a consumer if there is none, and pull as many messages as the buffer can take."""
        if not self._connection.connected:
            return
        if not self._consumer or self._epoch != self._connection.epoch:
            await self._begin()
        if self._under_way + len(self._buffer) <= _BATCH // 2:
            await self._pull()
        if self._idle and not self._caught_up and await self.pending() == 0:
            self._end_of_past()
        self._idle = False

    async def _begin(self) -> None:
        """Create a consumer at the present position."""
        self._consumer = ""
        self._epoch = self._connection.epoch
        # After a power cut the server may have lost the end of its stream, as it syncs to disk once a second. A
        # position beyond the new end would skip all messages stored until the stream is as long again.
        if self.position > 1 or self._last_each:
            info = await self._connection.api(f"STREAM.INFO.{self._stream}")
            if RESTORING in info["config"].get("metadata", {}):
                raise LinkError(f"{self._stream} is not complete yet", source="bus", code="no_stream")
            self.position = min(self.position, int(info["state"]["last_seq"]) + 1)
        name = secrets.token_hex(8)
        start: dict[str, Any] = {"deliver_policy": "by_start_sequence", "opt_start_seq": self.position}
        if self._last_each:
            start = {"deliver_policy": "last_per_subject"}
        answer = await self._connection.api(
            # The form with the filter: the server can limit what a user reads, and compares it with the one below.
            f"CONSUMER.CREATE.{self._stream}.{name}.{self._subjects}",
            {
                "stream_name": self._stream,
                "config": {
                    "name": name,
                    "ack_policy": "none",
                    "replay_policy": "instant",
                    "inactive_threshold": round(_IDLE_S * 1e9),
                    "mem_storage": True,
                    "num_replicas": 1,
                    "filter_subject": self._subjects,
                    **start,
                },
            },
        )
        self._consumer = name
        self._count = 0
        self._under_way = 0
        self._caught_up = self._idle = False
        self._past = int(answer["num_pending"])
        if not self._past:
            self._end_of_past()

    async def _pull(self) -> None:
        request = {"batch": _BATCH, "expires": round(_PULL_S * 1e9), "idle_heartbeat": round(_HEARTBEAT_S * 1e9)}
        await self._connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}",
            json.dumps(request).encode(),
            reply=f"{self._inbox}.{self._consumer}",
        )
        self._under_way += _BATCH

    def _receive(self, message: Msg) -> None:
        self._news.set()
        if message.subject.startswith(self._inbox):
            if message.subject.rpartition(".")[2] == self._consumer:
                self._status(message.headers or {})
            return
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>; a domain makes it longer
        fields = message.reply.split(".")
        at = 2 if len(fields) == 9 else 4
        if fields[at + 1] != self._consumer:
            return
        self._count += 1
        self._under_way -= 1
        if int(fields[at + 4]) != self._count:
            self._consumer = ""  # a message was lost: start a new consumer at the present position
            return
        sequence = int(fields[at + 3])
        if sequence >= self.position:
            self.position = sequence + 1
            self._buffer.append(Delivered(message, sequence, int(fields[at + 5])))
        # The end of the snapshot needs both conditions. While others write, the pending number can be 0 before all old
        # messages have come (nats.py issue 842). The count alone is wrong for keys that are written again meanwhile:
        # their message moves to the end of the stream, and the server delivers fewer old messages than it announced.
        if fields[at + 6] == "0" and self._count >= self._past:
            self._end_of_past()

    def _status(self, headers: dict[str, str]) -> None:
        match headers.get("Status"):
            case "100":
                self._idle = True
            case "404" | "408":
                self._under_way -= int(headers.get("Nats-Pending-Messages", self._under_way))
            case _:  # 409: the consumer was deleted, or its server lost the leadership; 503: no server responds
                self._consumer = ""

    def _end_of_past(self) -> None:
        self._last_each = False
        if not self._caught_up:
            self._caught_up = True
            self._buffer.append(CaughtUp())
