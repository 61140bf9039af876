"""Law: a question to the history and its answer are values; a gap in time is visible in the answer.

Subjects: `query.history.range` (RangeQuery -> Answer of Series), `query.history.last` (LastQuery -> Answer of Last).
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.values import Reading, Scalar


class RangeQuery(Struct, frozen=True, kw_only=True):
    """One point over a time range, [start_ns, end_ns)."""

    point: str
    """`<device>.<name>`."""
    start_ns: int
    end_ns: int
    max_points: int = 2000
    """At most this many rows come back; more samples than that are reduced to min, max and mean of equal buckets."""


class Series(Struct, frozen=True, kw_only=True):
    """Columns of equal length, in time order.

    A row is one sample (`resolution` raw) or one bucket (`bucket_ns` long, time_ns is its begin). A row with quality
    BAD and None values ends a stretch after which nothing was recorded: draw no line across it.
    """

    point: str
    resolution: str
    """`raw`: every sample as it was. Otherwise what was reduced: `raw/4s`, `1min/30min`, `5min/2h`."""
    bucket_ns: int = 0
    time_ns: list[int] = []
    mean: list[float | None] = []
    """The value itself where resolution is raw and the point is a number or bool."""
    low: list[float | None] = []
    high: list[float | None] = []
    quality: list[int] = []
    """The worst quality in the row."""
    count: list[int] = []
    text: list[str | None] | None = None
    """For string points (raw, thinned to changes); None for numbers."""


class LastQuery(Struct, frozen=True, kw_only=True):
    """The last reading of each point at or before a time."""

    points: tuple[str, ...]
    at_ns: int


class Last(Struct, frozen=True, kw_only=True):
    """Point -> its last reading; points that have none are left out."""

    readings: dict[str, Reading]


class Refusal(Struct, frozen=True, kw_only=True, tag=True):
    """The history's way to say no to a question."""

    cause: Cause


class SeriesAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a RangeQuery, or of Refusal."""

    series: Series


class LastAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a LastQuery, or Refusal."""

    last: Last


__all__ = ["Last", "LastAnswer", "LastQuery", "RangeQuery", "Refusal", "Scalar", "Series", "SeriesAnswer"]
