"""Law: a question is answered from the finest resolution that is still kept and fits into what was asked for.

Buckets begin at whole multiples of their length, so a chart that is moved keeps its shape.
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from countingroom.core.times import format_span

MINUTE_NS = 60_000_000_000
FIVE_MINUTES_NS = 5 * MINUTE_NS


class Resolution(IntEnum):
    """What is kept; the value is its length in ns, 0 for raw."""

    RAW = 0
    MINUTE = MINUTE_NS
    FIVE_MINUTES = FIVE_MINUTES_NS


_LABELS = {Resolution.RAW: "raw", Resolution.MINUTE: "1min", Resolution.FIVE_MINUTES: "5min"}


class Horizon(Struct, frozen=True, kw_only=True):
    """What is older than this is no longer kept in that resolution (ns since the epoch)."""

    raw_ns: int = 0
    minute_ns: int = 0


class QueryPlan(Struct, frozen=True, kw_only=True):
    """From what to answer, in buckets how long."""

    base: Resolution
    bucket_ns: int

    @property
    def label(self) -> str:
        """As Series says it: `raw/13s`, `1min`, `5min/2h`."""
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


def kept_from(now_ns: int, keep_s: float) -> int:
    """The begin of what is kept, for whole five minutes."""
    return max(0, (now_ns - round(keep_s * 1e9)) // FIVE_MINUTES_NS * FIVE_MINUTES_NS)


def coarser(given: QueryPlan) -> QueryPlan:
    """The same from the same source, in half as many buckets."""
    return QueryPlan(base=given.base, bucket_ns=2 * given.bucket_ns)


def _two_digits(number: int) -> int:
    unit = 10 ** max(0, len(str(number)) - 2)
    return _multiple(number, unit)


def _multiple(number: int, unit: int) -> int:
    return -(-number // unit) * unit
