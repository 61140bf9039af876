"""Streams of the memory bus: append-only, bounded by size. A sequence number is never used twice."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.bus.memory.subjects import any_matches, matches
from countingroom.bus.port import Stored

DUPLICATE_WINDOW_S = 120.0
"""A second message with the same id within this time is not stored, as on the NATS server."""


class MemoryStream:
    """A stream in memory. The caller of `append` gives the time."""

    def __init__(self, name: str, subjects: list[str], *, max_bytes: int, first_sequence: int = 1) -> None:
        self.name = name
        self.first = first_sequence
        self.last = first_sequence - 1
        self._messages: dict[int, Stored] = {}
        self._last_of: dict[str, int] = {}
        self._ids: dict[str, tuple[int, float]] = {}
        self._bytes = 0
        self.adapt(subjects, max_bytes=max_bytes)

    def adapt(self, subjects: list[str], *, max_bytes: int) -> None:
        """Change subjects and limits."""
        self._subjects = list(subjects)
        self._max_bytes = max_bytes
        self._forget()

    def covers(self, subject: str) -> bool:
        """Whether the stream stores messages of this subject."""
        return any_matches(self._subjects, subject)

    def append(self, subject: str, data: bytes, *, message_id: str, now_ns: int, now_s: float) -> int:
        """Store a message; returns its sequence, or that of the first message with the same id."""
        if message_id:
            self._forget_ids(now_s)
            if duplicate := self._ids.get(message_id):
                return duplicate[0]
        self.last += 1
        self._messages[self.last] = Stored(subject=subject, data=data, sequence=self.last, stored_ns=now_ns)
        self._last_of[subject] = self.last
        self._bytes += len(subject) + len(data)
        if message_id:
            self._ids[message_id] = (self.last, now_s)
        self._forget()
        return self.last

    def read(self, pattern: str, start: int, end: int | None = None) -> Iterator[Stored]:
        """Messages that match the pattern, with start <= sequence <= end, in order."""
        for sequence in range(max(start, self.first), (self.last if end is None else end) + 1):
            message = self._messages.get(sequence)
            if message is not None and matches(pattern, message.subject):
                yield message

    def last_per_subject(self, pattern: str) -> list[Stored]:
        """The last message of each subject that matches, in order of sequence."""
        sequences = sorted(
            sequence
            for subject, sequence in self._last_of.items()
            if sequence in self._messages and matches(pattern, subject)
        )
        return [self._messages[sequence] for sequence in sequences]

    def _forget(self) -> None:
        while message := self._messages.get(self.first):
            if self._bytes <= self._max_bytes:
                return
            del self._messages[self.first]
            self._bytes -= len(message.subject) + len(message.data)
            self.first += 1
            if self._last_of.get(message.subject) == message.sequence:
                del self._last_of[message.subject]

    def _forget_ids(self, now_s: float) -> None:
        while self._ids:
            message_id, (_, when) = next(iter(self._ids.items()))
            if now_s - when < DUPLICATE_WINDOW_S:
                return
            del self._ids[message_id]
