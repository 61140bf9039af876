"""Which registers are asked for together, and what is learned about those that the device refuses or does not answer.

Neighbours are asked for together. A request that is refused is divided until the refused value stands alone; a request
that is not answered is divided at the next poll, and is asked seldom when it is one value only. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from countingroom.devices.drivers.modbus.codec import Span, plan
from countingroom.devices.drivers.modbus.pdu import MOST_BITS, MOST_WORDS

_TRIES = 3
_SELDOM = 10
"""Polls between two tries of a value that was not answered several times: each try costs the time of a timeout."""
_BIT_TABLES = ("coil", "discrete")


class Area(Struct, frozen=True, order=True):
    """A table of one unit: its addresses are counted on their own."""

    unit: int
    table: str


class Chunk(Struct, frozen=True, order=True):
    """The values of one request."""

    area: Area
    spans: tuple[Span, ...]

    @property
    def address(self) -> int:
        return self.spans[0].address

    @property
    def count(self) -> int:
        return max(span.end for span in self.spans) - self.address

    def halves(self) -> tuple[Chunk, ...]:
        """Two requests for its values; itself where it has one only."""
        middle = len(self.spans) // 2
        if not middle:
            return (self,)
        return (Chunk(self.area, self.spans[:middle]), Chunk(self.area, self.spans[middle:]))


class ReadPlan:
    """The requests of a poll."""

    def __init__(self, values: Iterable[tuple[Area, Span]], *, bridge: int, most: int) -> None:
        spans: dict[Area, set[Span]] = {}
        for area, span in values:
            spans.setdefault(area, set()).add(span)
        self._whole = tuple(
            chunk for area in sorted(spans) for chunk in _chunks(area, spans[area], bridge=bridge, most=most)
        )
        self._chunks = list(self._whole)
        self._misses: dict[Chunk, int] = {}
        self._refused: set[Chunk] = set()
        self._polls = 0

    def opened(self) -> None:
        """A connection was made. Requests that were divided in an outage are joined again."""
        if not self._refused and not any(self._misses.values()):
            self._chunks = list(self._whole)

    def due(self) -> tuple[Chunk, ...]:
        """The requests of this poll; those that were answered before come first."""
        self._polls += 1
        seldom = self._polls % _SELDOM == 0
        due = [chunk for chunk in self._chunks if seldom or self._misses.get(chunk, 0) < _TRIES]
        return tuple(sorted(due or self._chunks, key=lambda chunk: (self._misses.get(chunk, 0), chunk)))

    def answered(self, chunk: Chunk) -> None:
        """It was answered with values."""
        self._misses.pop(chunk, None)
        self._refused.discard(chunk)

    def refused(self, chunk: Chunk) -> tuple[Chunk, ...]:
        """It was refused for its registers: the requests to make instead, at once; none where it is one value."""
        self._misses.pop(chunk, None)
        halves = chunk.halves()
        if len(halves) == 1:
            self._refused.add(chunk)
            return ()
        self._replace(chunk, halves)
        return halves

    def missed(self, chunk: Chunk) -> None:
        """It was not answered: another time it is divided."""
        misses = self._misses.pop(chunk, 0) + 1
        halves = chunk.halves()
        if len(halves) > 1:
            self._replace(chunk, halves)
        for half in halves:
            self._misses[half] = misses if len(halves) == 1 else 1

    def _replace(self, chunk: Chunk, halves: tuple[Chunk, ...]) -> None:
        if chunk in self._chunks:
            self._chunks.remove(chunk)
        self._chunks += [half for half in halves if half not in self._chunks]


def _chunks(area: Area, spans: set[Span], *, bridge: int, most: int) -> list[Chunk]:
    limit = min(MOST_BITS, 16 * most) if area.table in _BIT_TABLES else min(MOST_WORDS, most)
    return [
        Chunk(area, tuple(sorted(span for span in spans if whole.address <= span.address and span.end <= whole.end)))
        for whole in plan(spans, bridge=bridge, most=limit)
    ]
