"""Law: one wrapper owns nats-py; over it everything either happens now or fails now, and nothing is sent late.

nats-py keeps what it could not send and sends it after reconnecting, gives up after some refusals, and takes minutes to
miss a silent peer. Here it is told otherwise, and what cannot be told is done by the subclass, for the pinned version.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, cast

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from countingroom.core.clock import timeout
from countingroom.core.errors import ConfigurationError, CountingRoomError, Denied, LinkError, RequestError

_log = logging.getLogger(__name__)

_PING_S = 1
_PINGS_OUTSTANDING = 2
_RETRY_S = 0.1
_UNSENT_BYTES = 32 << 20
"""What may wait for a server that does not read."""
_SETTLE_S = 1
API_S = 5.0
"""For one answer of the server."""


class ApiError(CountingRoomError):
    """The server refuses a JetStream request. `number` is its own error code."""

    def __init__(self, number: int, description: str) -> None:
        super().__init__(f"the bus refuses: {description}", source="bus", evidence={"number": number})
        self.number = number


class _Client(Client):
    """nats-py, except that it never closes by itself, forgets what it could not send, and is not connected to a server
    that hangs up instead of answering."""

    _reading_task: asyncio.Task[None] | None
    _ping_interval_task: asyncio.Task[None] | None
    _flusher_task: asyncio.Task[None] | None

    async def _process_connect_init(self) -> None:
        await super()._process_connect_init()
        if self._status != Client.CONNECTED:
            for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
                if task:
                    task.cancel()
            raise ConnectionResetError("hung up before it answered")

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg:
            await super()._process_err(err_msg)
        else:
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))

    def forget(self) -> None:
        """The link is gone: nothing unsent is sent later."""
        self._pending: list[bytes] = []
        self._pending_data_size = 0


def _lost() -> LinkError:
    return LinkError("the bus is not reached", source="bus", suggestion="wait until the link is back")


class NatsConnection:
    """A connection to the servers that comes back by itself."""

    def __init__(self) -> None:
        self.client = _Client()
        self.closed = False
        self.life = 0
        """Counts the connections made."""
        self.callbacks: list[Callable[[bool], None]] = []
        self.news: set[asyncio.Event] = set()
        """Set whenever the link comes or goes, or is closed."""
        self._up = False
        self._said: str = ""
        self._refused: bool = False
        """A server did not know us; a later attempt that is cut short does not unsay it."""
        self._inbox = ""
        self._asked = 0
        self._waiting: dict[str, asyncio.Future[Msg]] = {}

    async def connect(self, url: str, *, name: str, user: str, password: str, timeout_s: float) -> None:
        """LinkError when no server is reached in time, Denied when it refuses us."""
        try:
            async with timeout(timeout_s):
                await self.client.connect(
                    [one.strip() for one in url.split(",")],
                    name=name,
                    user=user or None,
                    password=password or None,
                    connect_timeout=2,
                    reconnect_time_wait=cast("int", _RETRY_S),
                    max_reconnect_attempts=-1,
                    ping_interval=_PING_S,
                    max_outstanding_pings=_PINGS_OUTSTANDING,
                    pending_size=-1,
                    error_cb=self._error,
                    disconnected_cb=self._disconnected,
                    reconnected_cb=self._reconnected,
                )
        except TimeoutError:
            await self.client.close()
            if self._refused:
                raise Denied(f"the bus refuses {user or 'anonymous'}", source="bus") from None
            raise LinkError(
                f"the bus is not reached at {url} within {timeout_s:g} s: {self._said or 'no answer'}",
                source="bus",
                suggestion="start its server, or give the right url in the section bus",
            ) from None
        except (nats.errors.Error, ValueError) as error:
            raise ConfigurationError(
                f"{url!r} is no address of a bus: {error}", source="bus", suggestion="write it as nats://HOST:4222"
            ) from error
        self._up = True
        self._said = ""
        self._refused = False
        self.life = 1
        self._inbox = self.client.new_inbox()
        await self.subscribe(f"{self._inbox}.*", self._answered)

    @property
    def connected(self) -> bool:
        return self._up and not self.closed and self.client.is_connected

    def check(self) -> None:
        """LinkError while the link is not up, or its other end does not read."""
        if not self.connected:
            raise _lost()
        if self.client.pending_data_size > _UNSENT_BYTES:
            raise LinkError("the bus does not take what is sent", source="bus", code="bus_slow")

    async def publish(self, subject: str, data: bytes, *, reply: str = "") -> None:
        """At most once."""
        self.check()
        with _translated(subject, data):
            await self.client.publish(subject, data, reply)

    async def reply(self, subject: str, data: bytes) -> None:
        """An answer; the link may be gone, and who asked with it."""
        with suppress(LinkError):
            await self.publish(subject, data)

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float = API_S, headers: dict[str, str] | None = None
    ) -> Msg:
        """Ask and wait for the answer; LinkError at once where nobody listens or the link goes.

        nats-py's own way to ask may lose the cancellation of who asks (`asyncio.wait_for` before Python 3.12).
        """
        self.check()
        self._asked += 1
        token = str(self._asked)
        self._waiting[token] = answer = asyncio.get_running_loop().create_future()
        try:
            with _translated(subject, data):
                await self.client.publish(subject, data, f"{self._inbox}.{token}", headers)
            async with timeout(timeout_s):
                message = await answer
        except TimeoutError:
            raise LinkError(
                f"no answer on {subject} within {timeout_s:g} s",
                source="bus",
                code="no_answer",
                suggestion="it may have been done or not: look before trying again",
            ) from None
        finally:
            del self._waiting[token]
        if not message.data and message.headers and message.headers.get("Status") == "503":
            raise LinkError(f"nobody listens to {subject}", source="bus", code="no_responders")
        return message

    async def api(self, subject: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream; ApiError when it refuses."""
        answer = await self.request(f"$JS.API.{subject}", json.dumps(question).encode() if question else b"")
        return checked(answer.data)

    async def store(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        """Publish into a stream; the sequence it got. ApiError when it is refused."""
        try:
            answer = await self.request(subject, data, headers=headers)
        except LinkError as error:
            if error.cause.code == "no_responders":
                raise LinkError(f"no stream covers {subject}", source="bus", code="no_stream") from None
            raise
        return int(checked(answer.data)["seq"])

    async def subscribe(
        self, subject: str, heard: Callable[[Msg], Awaitable[None]], *, queue: str = "", limit: int = 65536
    ) -> Subscription:
        """In force on return, or, while the link is down, once it is back."""
        subscription = await self.client.subscribe(  # pyright: ignore[reportUnknownMemberType]
            subject, queue=queue, cb=heard, pending_msgs_limit=limit, pending_bytes_limit=0
        )
        await self._settle()
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """No more of it; on return the servers know."""
        if not self.client.is_closed:
            await subscription.unsubscribe()
            await self._settle()

    async def close(self) -> None:
        """For good."""
        self.closed = True
        self._up = False
        await self.client.close()
        self._wake()

    async def _disconnected(self) -> None:
        self.client.forget()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_lost())
        if self._up:
            self._up = False
            _log.warning("the link to the bus is lost")
            self._tell(up=False)

    async def _reconnected(self) -> None:
        if not self.closed:
            self._up = True
            self._said = ""
            self._refused = False
            self.life += 1
            _log.warning("the link to the bus is back")
            self._tell(up=True)

    async def _answered(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject.rpartition(".")[2])
        if answer and not answer.done():
            answer.set_result(message)

    async def _settle(self) -> None:
        """Wait until the server has dealt with what was sent: a word to ourselves comes back after it."""
        with suppress(LinkError):
            await self.request(f"{self._inbox}.{self._asked + 1}", b"", timeout_s=_SETTLE_S)

    def _tell(self, *, up: bool) -> None:
        self._wake()
        for callback in tuple(self.callbacks):
            callback(up)

    def _wake(self) -> None:
        for event in self.news:
            event.set()

    async def _error(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"
        level = logging.DEBUG if said == self._said or not self._up else logging.WARNING
        _log.log(level, "the bus reports %s", said)
        self._said = said
        self._refused = self._refused or "authorization" in said.lower()


@contextmanager
def _translated(subject: str, data: bytes) -> Generator[None]:
    """nats-py's errors in our words."""
    try:
        yield
    except nats.errors.MaxPayloadError:
        raise RequestError(
            f"{len(data)} bytes on {subject} are more than one message may have", source="bus", code="too_big"
        ) from None
    except (nats.errors.OutboundBufferLimitError, nats.errors.ConnectionClosedError, OSError) as error:
        raise _lost() from error


def checked(data: bytes) -> dict[str, Any]:
    """A JetStream answer; ApiError where it is a refusal."""
    answer: dict[str, Any] = json.loads(data)
    if error := answer.get("error"):
        raise ApiError(int(error.get("err_code", 0)), str(error.get("description", "")))
    return answer
