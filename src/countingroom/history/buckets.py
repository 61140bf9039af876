"""Buckets: summaries of the samples of a stretch of time, and their union. Pure.

Everything in a bucket can be computed for a union of buckets too: five minutes made of minutes are the same as five
minutes made of samples. A bucket has the count, the number of good samples, their min, max, sum and last, the worst
quality, the first and last time. STALE and BAD samples are counted and set the quality but take no part in the values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct, structs

from countingroom.core.values import Quality
from countingroom.history.columns import Integers, Numbers


class Buckets(Struct, frozen=True, kw_only=True):
    """Columns of equal length, in order of begin_ns; values are NaN where good is 0."""

    begin_ns: Integers
    count: Integers
    good: Integers
    low: Numbers
    high: Numbers
    total: Numbers
    """Sum of the good values."""
    latest: Numbers
    """The last good value."""
    quality: Integers
    """The worst."""
    first_ns: Integers
    last_ns: Integers

    def __len__(self) -> int:
        return len(self.begin_ns)


def samples(time_ns: Integers, number: Numbers, quality: Integers) -> Buckets:
    """Each sample a bucket of its own; here STALE ones keep their value."""
    ones = np.ones(len(time_ns), np.int64)
    return Buckets(
        begin_ns=time_ns,
        count=ones,
        good=np.where(np.isnan(number), 0, 1),
        low=number,
        high=number,
        total=number,
        latest=number,
        quality=quality.astype(np.int64),
        first_ns=time_ns,
        last_ns=time_ns,
    )


def reduce(time_ns: Integers, number: Numbers, quality: Integers, bucket_ns: int) -> Buckets:
    """Samples, in any order, in buckets that begin at multiples of bucket_ns."""
    return merge(samples(time_ns, np.where(quality < Quality.STALE, number, np.nan), quality), bucket_ns)


def merge(parts: Buckets, bucket_ns: int) -> Buckets:
    """Buckets, in any order, united into larger ones that begin at multiples of bucket_ns."""
    if not len(parts):
        return parts
    order = np.lexsort((parts.last_ns, parts.begin_ns // bucket_ns))
    begin = (parts.begin_ns // bucket_ns * bucket_ns)[order]
    starts = np.flatnonzero(np.append(True, begin[1:] != begin[:-1]))
    good = parts.good[order]
    has = good > 0
    sums = np.add.reduceat(good, starts)
    last_good = np.maximum.reduceat(np.where(has, np.arange(len(begin)), -1), starts)
    return Buckets(
        begin_ns=begin[starts],
        count=np.add.reduceat(parts.count[order], starts),
        good=sums,
        low=_where(sums, np.minimum.reduceat(np.where(has, parts.low[order], np.inf), starts)),
        high=_where(sums, np.maximum.reduceat(np.where(has, parts.high[order], -np.inf), starts)),
        total=_where(sums, np.add.reduceat(np.where(has, parts.total[order], 0.0), starts)),
        latest=_where(sums, parts.latest[order][last_good]),
        quality=np.maximum.reduceat(parts.quality[order], starts),
        first_ns=np.minimum.reduceat(parts.first_ns[order], starts),
        last_ns=np.maximum.reduceat(parts.last_ns[order], starts),
    )


def concatenate(parts: Sequence[Buckets]) -> Buckets:
    """One after the other."""
    return Buckets(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Buckets.__struct_fields__}
    )


def select(parts: Buckets, chosen: Integers | np.ndarray[tuple[int], np.dtype[np.bool_]] | slice) -> Buckets:
    """Those rows."""
    return Buckets(**{name: column[chosen] for name, column in structs.asdict(parts).items()})


def _where(good: Integers, values: Numbers) -> Numbers:
    return np.where(good > 0, values, np.nan)
