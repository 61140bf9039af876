"""Requests that were sent and have no answer yet. Many can be sent together; each one has an outcome of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from nats.aio.msg import Msg

from countingroom.core.clock import timeout
from countingroom.core.errors import CountingRoomError, LinkError

T = TypeVar("T")
_TOKEN = 16
"""Letters of a token."""
_WINDOW = 128
"""While more answers are missing, the next requests of a batch wait a moment. A process with many receivers, which gets
all requests at once, begins all of them before it ends the first: its first answer came after 0.1 s of a thousand."""
_PAUSE_S = 0.01
"""The longest such wait: receivers that do not answer must not hold up the others."""


class Outgoing(NamedTuple):
    """A message to be sent."""

    subject: str
    data: bytes
    headers: dict[str, str] | None = None
    token: str = ""
    """The last token of its reply subject; empty: a new one."""


def new_token() -> str:
    """The last token of a reply subject. Random, so that a process that has received one request cannot answer others
    in the place of their receivers."""
    return secrets.token_hex(_TOKEN // 2)


class Answers:
    """The answers of requests that were sent together."""

    def __init__(self, take: Callable[[int, Msg | CountingRoomError], None]) -> None:
        """`take` is called with the place of each request and its answer, or why there is none."""
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when all are sent and the last answer has come."""
        self._take = take
        self._waiting: dict[int, str] = {}
        """Place -> subject."""
        self._sent = 0
        self._all_sent = False
        self._room = asyncio.Event()

    def add(self, subject: str) -> int:
        """One more request; returns its place, counted from 0."""
        place = self._sent
        self._waiting[place] = subject
        self._sent += 1
        return place

    def all_sent(self) -> None:
        """No further request follows."""
        self._all_sent = True
        self._end()

    async def room(self) -> None:
        """Let what was sent go out; return when few answers are missing, or after a moment."""
        await asyncio.sleep(0)
        if len(self._waiting) > _WINDOW:
            self._room.clear()
            with suppress(TimeoutError):
                async with timeout(_PAUSE_S):
                    await self._room.wait()

    def take(self, place: int, outcome: Msg | CountingRoomError) -> None:
        """The outcome of one request. Of several the first one counts."""
        if (subject := self._waiting.pop(place, None)) is not None:
            self._take(place, _responded(outcome, subject))
            if len(self._waiting) <= _WINDOW:
                self._room.set()
            self._end()

    def _end(self) -> None:
        if self._all_sent and not self._waiting and not self.complete.done():
            self.complete.set_result(None)


class OpenRequests:
    """The requests of a connection, by the tokens of their reply subjects."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, Answers, int]] = {}
        """Token -> subject, and where its answer belongs."""

    def begin(self, token: str, subject: str, answers: Answers) -> int:
        """Wait for the answer of this one; returns its place among `answers`."""
        place = answers.add(subject)
        self._open[token] = subject, answers, place
        return place

    def end(self, tokens: Iterable[str]) -> None:
        """Wait no more. Later answers are ignored."""
        for token in tokens:
            self._open.pop(token, None)

    def take(self, token: str, message: Msg) -> None:
        """An answer came."""
        if (waiting := self._open.get(token)) is not None:
            _, answers, place = waiting
            answers.take(place, message)

    def fail(
        self, error: Callable[[str], CountingRoomError], *, of: str | None = None, among: Answers | None = None
    ) -> None:
        """No answer will come: `error` makes the reason from the subject. `of`: only to requests on this subject, in
        lower case. `among`: only to these."""
        for subject, answers, place in tuple(self._open.values()):
            if (of is None or subject.lower() == of) and (among is None or answers is among):
                answers.take(place, error(subject))


def no_answer(subject: str, timeout_s: float) -> LinkError:
    """The error of a request without an answer in time."""
    return LinkError(
        f"no answer on {subject} within {timeout_s:g} s",
        source="bus",
        code="no_answer",
        suggestion="check whether it took effect before you try again",
    )


def result(outcome: T | CountingRoomError) -> T:
    """Return the outcome, or raise it if it is an error."""
    if isinstance(outcome, CountingRoomError):
        raise outcome
    return outcome


def _responded(answer: Msg | CountingRoomError, subject: str) -> Msg | CountingRoomError:
    """LinkError where the server says that no process listens."""
    if isinstance(answer, Msg) and not answer.data and answer.headers and answer.headers.get("Status") == "503":
        return LinkError(f"no process answers on {subject}", source="bus", code="no_responders")
    return answer
