"""Queries to the history and their answers. A gap in the recording is visible in the answer.

Subjects: `query.history.range` (RangeQuery -> SeriesAnswer), `query.history.ranges` (RangesQuery -> SeriesListAnswer),
`query.history.last` (LastQuery -> LastAnswer),
`query.history.points` (PointsQuery -> PointsAnswer), `query.history.export` (ExportQuery -> ExportAnswer). Each is
answered by its answer or by QueryRefusal.
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
    """Maximum number of rows. More samples are reduced to minimum, maximum and mean of buckets of equal length."""


class RangesQuery(Struct, frozen=True, kw_only=True):
    """Several points over the same time range, [start_ns, end_ns); faster than one query for each."""

    points: tuple[str, ...]
    start_ns: int
    end_ns: int
    max_points: int = 2000
    """Maximum number of rows of each point."""


class Series(Struct, frozen=True, kw_only=True):
    """Columns of equal length, in time order.

    A row is one sample (`resolution` raw) or one bucket (`bucket_ns` long, `time_ns` is its start). A row with quality
    BAD and None values marks the start of a gap in the recording: draw no line across it. A first row with count 0 is
    the value at the start of the range. A value holds until the next row, so lines are drawn as steps. Mean, low and
    high are computed from GOOD and UNCERTAIN samples; they are None for a bucket without such samples.
    """

    point: str
    resolution: str
    """`raw`: unreduced samples. Otherwise source and bucket: `raw/4s`, `1min/30min`, `5min/2h`."""
    bucket_ns: int = 0
    time_ns: list[int] = []
    mean: list[float | None] = []
    """The value itself when the resolution is raw and the point is a number or bool."""
    low: list[float | None] = []
    high: list[float | None] = []
    quality: list[int] = []
    """The worst quality in the row."""
    count: list[int] = []
    text: list[str | None] | None = None
    """For string points (raw, changes only); None for numbers."""


class LastQuery(Struct, frozen=True, kw_only=True):
    """The last reading of each point at or before a time."""

    points: tuple[str, ...]
    at_ns: int


class Last(Struct, frozen=True, kw_only=True):
    """Point -> its last reading; points without a reading are left out."""

    readings: dict[str, Reading]


class QueryRefusal(Struct, frozen=True, kw_only=True, tag="Refusal"):
    """A query is refused; `cause` gives the reason. The tag on the bus is `Refusal`."""

    cause: Cause


class SeriesAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a RangeQuery."""

    series: Series


class SeriesListAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a RangesQuery: a series for each point, in the order of the query."""

    series: list[Series]


class LastAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a LastQuery."""

    last: Last


class PointsQuery(Struct, frozen=True, kw_only=True):
    """Requests the points that have a history."""

    prefix: str = ""
    """Only points whose address starts with this: `caen.`."""


class PointsAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a PointsQuery."""

    points: list[str]
    """Addresses, sorted."""


class ExportQuery(Struct, frozen=True, kw_only=True):
    """Every sample of some points in [start_ns, end_ns), page by page."""

    points: tuple[str, ...]
    start_ns: int
    end_ns: int
    limit: int = 20_000
    """Approximate maximum number of rows in a page."""
    messages: bool = False
    """Also the message of each sample: `sent_ns`, `place`, `alarm` and `whole` of the answer."""


class Samples(Struct, frozen=True, kw_only=True):
    """Columns of equal length: unreduced samples in time order."""

    point: list[int]
    """Index into `points` of the query."""
    time_ns: list[int]
    value: list[Scalar]
    quality: list[int]
    device_ns: list[int]
    received_ns: list[int]
    sent_ns: list[int] = []
    """When the message was sent in which the sample came; 0: not known. Empty where it was not asked for."""
    place: list[int] = []
    """The row of the sample in that message."""
    alarm: list[int] = []
    """Priority of an alarm that the device itself has given to the value; 0: none."""
    whole: list[int] = []
    """1: that message had all points of its device. 0: it had not, or this is not known."""


class ExportAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to an ExportQuery."""

    samples: Samples
    next_ns: int | None
    """`start_ns` of the next page; None for the last page."""
