"""Dead letters: received messages that could not be decoded or used.

Each is counted, and the log tells it once for each subject. The heartbeat of the process publishes the last ones (see
presence.py). All memory is bounded, because hostile senders choose subjects and bytes.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TypeVar

from msgspec import Struct

from countingroom.core.messages import Malformed, MessageDecoder, decode

T = TypeVar("T")

_log = logging.getLogger(__name__)

KEPT = 100
"""Dead letters that wait to be published; the oldest are dropped."""
SUBJECTS = 1000
"""The most subjects that are reported; dead letters of further subjects are only counted."""
HEAD_BYTES = 256
"""So much of the beginning of a message is kept."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that could not be decoded or used."""

    subject: str
    error: str
    size: int
    """Bytes of the message."""
    head: bytes
    """Its first HEAD_BYTES bytes."""


class DeadLetters:
    """The dead letters of one process."""

    def __init__(self) -> None:
        self.count = 0
        """Since the start of the process."""
        self._told: set[str] = set()
        self._waiting: deque[DeadLetter] = deque(maxlen=KEPT)

    def read(self, subject: str, data: bytes, kind: type[T] | MessageDecoder[T]) -> T | None:
        """The decoded message; None when it is malformed, and then it is a dead letter."""
        try:
            return decode(data, kind)
        except Malformed as error:
            self.add(subject, data, error)
            return None

    def add(self, subject: str, data: bytes, error: Exception) -> None:
        """Count a message, and tell it when it is the first one of its subject."""
        self.count += 1
        if subject in self._told or len(self._told) >= SUBJECTS:
            return
        self._told.add(subject)
        # An error of our own code needs its traceback; a malformed message explains itself.
        trace = None if isinstance(error, Malformed) else error
        _log.warning("a message on %s is not understood: %s", subject, error, exc_info=trace)
        self._waiting.append(
            DeadLetter(subject=subject, error=str(error)[:500], size=len(data), head=data[:HEAD_BYTES])
        )

    def take(self, most: int) -> list[DeadLetter]:
        """Up to `most` of those that were told and not taken yet."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
