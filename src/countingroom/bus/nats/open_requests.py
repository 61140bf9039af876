"""Requests that were sent and have no answer yet. Many can be sent together; each one has an outcome of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from nats.aio.msg import Msg

from countingroom.core.errors import CountingRoomError, LinkError

T = TypeVar("T")
_TOKEN = 16
"""Letters of a token."""


class Outgoing(NamedTuple):
    """A message to be sent."""

    subject: str
    data: bytes
    headers: dict[str, str] | None = None


def new_tokens(count: int) -> list[str]:
    """The last tokens of so many reply subjects. Random, so that a process that has received one request cannot answer
    others in the place of their receivers."""
    text = secrets.token_hex(_TOKEN // 2 * count)
    return [text[start : start + _TOKEN] for start in range(0, len(text), _TOKEN)]


class Answers:
    """The answers of requests that were sent together."""

    def __init__(self, subjects: Sequence[str]) -> None:
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the last one has come."""
        self._subjects = subjects
        self._given: list[Msg | CountingRoomError | None] = [None] * len(subjects)
        self._missing = len(subjects)
        if not subjects:
            self.complete.set_result(None)

    def take(self, place: int, outcome: Msg | CountingRoomError) -> None:
        """The outcome of one request. Of several the first one counts."""
        if self._given[place] is not None:
            return
        self._given[place] = outcome
        self._missing -= 1
        if not self._missing and not self.complete.done():
            self.complete.set_result(None)

    def outcomes(self) -> list[Msg | CountingRoomError]:
        """In the order of the requests: the answer, or why there is none."""
        return [
            _responded(answer, subject)
            for answer, subject in zip(self._given, self._subjects, strict=True)
            if answer is not None
        ]


class OpenRequests:
    """The requests of a connection, by the tokens of their reply subjects."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, Answers, int]] = {}
        """Token -> subject, and where its answer belongs."""

    def begin(self, tokens: Sequence[str], subjects: Sequence[str]) -> Answers:
        """Wait for the answers of these."""
        answers = Answers(subjects)
        for place, (token, subject) in enumerate(zip(tokens, subjects, strict=True)):
            self._open[token] = subject, answers, place
        return answers

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
        for subject, answers, place in self._open.values():
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
