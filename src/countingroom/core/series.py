"""Law: a question to the history and its answer are values; a gap in time is visible in the answer.

Subjects, each answered by its answer or Refusal: `query.history.range` (RangeQuery -> SeriesAnswer),
`query.history.last` (LastQuery -> LastAnswer), `query.history.points` (PointsQuery -> PointsAnswer),
`query.history.export` (ExportQuery -> ExportAnswer).
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
    BAD and None values ends a stretch after which nothing was recorded: draw no line across it. A first row of count 0
    is the value that already held at the start of the range. Values hold until the next row, so lines are steps. Means,
    lows and highs are of GOOD and UNCERTAIN samples; a bucket without such has None.
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


class QueryRefusal(Struct, frozen=True, kw_only=True, tag="Refusal"):
    """The history's way to say no to a question."""

    cause: Cause


class SeriesAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a RangeQuery, or of Refusal."""

    series: Series


class LastAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a LastQuery, or Refusal."""

    last: Last


class PointsQuery(Struct, frozen=True, kw_only=True):
    """Which points have a history."""

    prefix: str = ""
    """Only those whose address begins so: `caen.`."""


class PointsAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a PointsQuery, or Refusal."""

    points: list[str]
    """Addresses, sorted."""


class ExportQuery(Struct, frozen=True, kw_only=True):
    """Every sample of some points in [start_ns, end_ns), page by page."""

    points: tuple[str, ...]
    start_ns: int
    end_ns: int
    limit: int = 20_000
    """At most about this many rows a page."""


class Samples(Struct, frozen=True, kw_only=True):
    """Columns of equal length: samples as they were, in order of time."""

    point: list[int]
    """Index into `points` of the query."""
    time_ns: list[int]
    value: list[Scalar]
    quality: list[int]
    device_ns: list[int]
    received_ns: list[int]


class ExportAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to an ExportQuery, or Refusal."""

    samples: Samples
    next_ns: int | None
    """The start of the next page; None when this was the last one."""


__all__ = [
    "ExportAnswer",
    "ExportQuery",
    "Last",
    "LastAnswer",
    "LastQuery",
    "PointsAnswer",
    "PointsQuery",
    "QueryRefusal",
    "RangeQuery",
    "Samples",
    "Scalar",
    "Series",
    "SeriesAnswer",
]
