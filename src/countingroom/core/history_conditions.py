"""Conditions: the values of points at given times, or over given intervals. Messages, and the definition. Pure.

The definition is written in the plainest way, for tests; `history/conditions.py` computes the same in bulk.

A sample holds from its time until the next sample of its point, but not longer than the tolerance: what was recorded
longer ago tells nothing. Of samples of one time the last received holds, and of those the one of the worst quality.
GOOD and UNCERTAIN samples that have a value count as good. `query.history.conditions` (ConditionsQuery ->
AsOfAnswer or IntervalsAnswer).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from countingroom.core.values import Int64, Quality, Scalar

TOLERANCE_NS = 125_000_000_000
"""The usual tolerance: a device host sends every point at least once a minute; two times that, and 5 s."""
MOST_CELLS = 100_000
"""Most times multiplied by points of one question."""

_Times = Annotated[list[Int64], Meta(max_length=MOST_CELLS)]


class ConditionsQuery(Struct, frozen=True, kw_only=True):
    """Points at times, or over [begin, end) of each interval."""

    points: tuple[str, ...]
    begin_ns: _Times
    """The times, or where the intervals begin; in any order."""
    end_ns: _Times = []
    """Where the intervals end; empty: the values at the times are wanted."""
    tolerance_ns: Annotated[int, Meta(ge=0, le=2**62)] = TOLERANCE_NS
    worst: Annotated[int, Meta(ge=0, le=3)] = int(Quality.BAD)
    """Values of a worse quality than this are left out; their quality is told. For values at times only."""


class PointAsOf(Struct, frozen=True, kw_only=True):
    """A point at each time of the query, in its order."""

    point: str
    value: list[Scalar]
    quality: list[int | None]
    """None: no sample holds at that time."""
    age_ns: list[int | None]
    """From the sample to the time."""


class PointIntervals(Struct, frozen=True, kw_only=True):
    """A point over each interval of the query, in its order."""

    point: str
    count: list[int]
    """Good samples in the interval."""
    low: list[float | None]
    """The lowest good value that held in it, also one from before its begin."""
    high: list[float | None]
    mean: list[float | None]
    """The mean of the good samples in it."""
    weighted: list[float | None]
    """The mean of the good values, each weighted by the time for which it held."""
    good: list[float]
    """The fraction of the time at which a good value held, 0 to 1."""


class AsOfAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a query without ends."""

    points: list[PointAsOf]


class IntervalsAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a query with ends."""

    points: list[PointIntervals]


class HeldSample(Struct, frozen=True, kw_only=True):
    """A stored sample of a point."""

    time_ns: int
    received_ns: int
    value: Scalar
    quality: int

    @property
    def is_good(self) -> bool:
        """Whether its value counts."""
        return self.quality < Quality.STALE and self.value is not None


class IntervalStatistics(Struct, frozen=True, kw_only=True):
    """A point over one interval; the fields are those of `PointIntervals`."""

    count: int
    low: float | None
    high: float | None
    mean: float | None
    weighted: float | None
    good: float


def ordered(samples: Sequence[HeldSample]) -> list[HeldSample]:
    """In the order in which they hold."""
    return sorted(samples, key=lambda one: (one.time_ns, one.received_ns, one.quality))


def as_of(samples: Sequence[HeldSample], time_ns: int, tolerance_ns: int) -> HeldSample | None:
    """The sample that holds at a time."""
    earlier = [one for one in ordered(samples) if one.time_ns <= time_ns]
    return earlier[-1] if earlier and time_ns - earlier[-1].time_ns <= tolerance_ns else None


def over(samples: Sequence[HeldSample], begin_ns: int, end_ns: int, tolerance_ns: int) -> IntervalStatistics:
    """Statistics of [begin_ns, end_ns), which is not empty. Texts have a count and a fraction only."""
    every = ordered(samples)
    follows = [one.time_ns for one in every[1:]] + [2**63]
    inside = [one for one in every if begin_ns <= one.time_ns < end_ns and one.is_good]
    numbers = [float(one.value) for one in inside if one.value is not None and not isinstance(one.value, str)]
    held: list[tuple[int, float | None]] = []
    for one, next_ns in zip(every, follows, strict=True):
        first = max(one.time_ns, begin_ns)
        last = min(next_ns, one.time_ns + tolerance_ns, end_ns)
        if one.is_good and last > first:
            held.append((last - first, None if isinstance(one.value, str) else float(one.value or 0)))
    weights = [(span, value) for span, value in held if value is not None]
    seen = numbers + [value for _, value in weights]
    time = sum(span for span, _ in weights)
    return IntervalStatistics(
        count=len(inside),
        low=min(seen, default=None),
        high=max(seen, default=None),
        mean=sum(numbers) / len(numbers) if numbers else None,
        weighted=sum(span * value for span, value in weights) / time if time else None,
        good=sum(span for span, _ in held) / (end_ns - begin_ns),
    )
