"""Which resolution and which length of buckets answers a range query. Pure.

It is the finest resolution that is still kept and gives no more rows than the query asks for. Buckets begin at
multiples of their length: otherwise a chart that is scrolled by a second shows other minima and maxima.
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.times import format_span
from countingroom.history.retention import FIVE_MINUTES_NS, MINUTE_NS, Horizon, Resolution

_LABELS = {Resolution.RAW: "raw", Resolution.MINUTE: "1min", Resolution.FIVE_MINUTES: "5min"}


class QueryPlan(Struct, frozen=True, kw_only=True):
    """The resolution that is read, and the length of the buckets of the answer."""

    base: Resolution
    bucket_ns: int

    @property
    def label(self) -> str:
        """For `Series.resolution`: `raw/13s`, `1min`, `5min/2h`."""
        kept = _LABELS[self.base]
        return kept if self.bucket_ns == self.base else f"{kept}/{format_span(self.bucket_ns)}"


def plan(start_ns: int, end_ns: int, rows: int, horizon: Horizon) -> QueryPlan:
    """At most `rows` buckets over [start_ns, end_ns), from the finest resolution that has them; rows is 2 or more."""
    wanted = max(1, -(-(end_ns - start_ns) // (rows - 1)))
    if start_ns >= horizon.raw_ns and wanted <= MINUTE_NS:
        return QueryPlan(base=Resolution.RAW, bucket_ns=min(MINUTE_NS, _two_digits(wanted)))
    if start_ns >= horizon.minute_ns and wanted <= 2 * FIVE_MINUTES_NS:
        return QueryPlan(base=Resolution.MINUTE, bucket_ns=_multiple(wanted, MINUTE_NS))
    return QueryPlan(base=Resolution.FIVE_MINUTES, bucket_ns=_multiple(wanted, FIVE_MINUTES_NS))


def coarser(given: QueryPlan) -> QueryPlan:
    """The same resolution in half as many buckets."""
    return QueryPlan(base=given.base, bucket_ns=2 * given.bucket_ns)


def _two_digits(number: int) -> int:
    unit = 10 ** max(0, len(str(number)) - 2)
    return _multiple(number, unit)


def _multiple(number: int, unit: int) -> int:
    return -(-number // unit) * unit
