"""A bounded queue of messages that a stream could not store yet. When it is full, the oldest are dropped and counted.

A stream on disk refuses messages while the disk is full. Their owner keeps them here and continues its work.
"""

from __future__ import annotations

import datetime
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class LostSpan(Struct, frozen=True, kw_only=True):
    """Messages that were dropped, with the times of the first and the last one, ns since the epoch."""

    messages: int
    from_ns: int
    to_ns: int

    def __str__(self) -> str:
        return f"{self.messages} from {_text(self.from_ns)} to {_text(self.to_ns)}"


class UnstoredQueue(Generic[T]):
    """Messages that wait, the oldest first."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        """`most`: number of messages; `most_bytes`: their sizes together."""
        self._most = most
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[int, int, T]] = deque()
        self._bytes = 0
        self.lost: LostSpan | None = None
        """What was dropped since `take_lost`."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[T]:
        return (item for _, _, item in self._waiting)

    @property
    def first(self) -> T:
        """The oldest message; IndexError when there is none."""
        return self._waiting[0][2]

    def add(self, item: T, *, time_ns: int, size: int = 0) -> None:
        """Add a message. Drops the oldest ones when there are too many, but never this one."""
        self._waiting.append((time_ns, size, item))
        self._bytes += size
        while len(self._waiting) > self._most or (self._bytes > self._most_bytes and len(self._waiting) > 1):
            self._drop()

    def remove(self, item: T) -> None:
        """Remove a message that is stored. One that was dropped meanwhile is ignored."""
        for place, (_, size, waiting) in enumerate(self._waiting):
            if waiting is item:
                del self._waiting[place]
                self._bytes -= size
                return

    def take_lost(self) -> LostSpan | None:
        """The span of the messages dropped since the last call; None without any."""
        taken, self.lost = self.lost, None
        return taken

    def _drop(self) -> None:
        time_ns, size, _ = self._waiting.popleft()
        self._bytes -= size
        before = self.lost
        self.lost = LostSpan(
            messages=before.messages + 1 if before else 1,
            from_ns=before.from_ns if before else time_ns,
            to_ns=time_ns,
        )


def _text(time_ns: int) -> str:
    return f"{datetime.datetime.fromtimestamp(time_ns / 1e9, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
