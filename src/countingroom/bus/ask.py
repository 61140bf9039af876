"""Requests and keys with decoded answers. An answer that cannot be decoded is a LinkError, as a missing one is."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import Malformed, MessageDecoder, decode, encode

T = TypeVar("T")


async def ask(bus: Bus, subject: str, question: Struct, kind: type[T] | MessageDecoder[T], *, timeout_s: float) -> T:
    """The decoded answer of the process that responds on the subject; LinkError (`nonsense`) where it is malformed."""
    return answer_of(subject, await bus.request(subject, encode(question), timeout_s=timeout_s), kind)


def answer_of(subject: str, outcome: Message | CountingRoomError, kind: type[T] | MessageDecoder[T]) -> T:
    """The decoded answer to a request on the subject; LinkError (`nonsense`) where it is malformed, or the error that
    the request ended with."""
    if isinstance(outcome, CountingRoomError):
        raise outcome
    try:
        return decode(outcome.data, kind)
    except Malformed as error:
        raise LinkError(
            f"the answer on {subject} is not understood: {error}",
            source="bus",
            code="nonsense",
            suggestion="check that both sides are of one version",
        ) from error


async def stored_state(bus: Bus, key: str, kind: type[T] | MessageDecoder[T]) -> T | None:
    """The value of a key of the state bucket; None when there is none, or a malformed one, which is a dead letter."""
    entry = await bus.get(subjects.STATE_BUCKET, key)
    if entry is None or entry.data is None:
        return None
    return bus.dead_letters.read(f"$KV.{subjects.STATE_BUCKET}.{key}", entry.data, kind)
