"""Retention: which resolutions are kept, and from when on each of them is complete. Pure.

Raw samples are kept for 30 days, the values of minutes for 2 years, those of five minutes for 20 years, unless the
section `history.keep` says otherwise.
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

MINUTE_NS = 60_000_000_000
FIVE_MINUTES_NS = 5 * MINUTE_NS


class Resolution(IntEnum):
    """The stored resolutions; the value is the bucket length in ns, 0 for raw."""

    RAW = 0
    MINUTE = MINUTE_NS
    FIVE_MINUTES = FIVE_MINUTES_NS


class Horizon(Struct, frozen=True, kw_only=True):
    """Resolution -> the time (ns since the epoch) before which it is no longer kept."""

    raw_ns: int = 0
    minute_ns: int = 0


def kept_from(now_ns: int, keep_s: float) -> int:
    """The begin of what is kept, a multiple of five minutes: a rollup bucket is never cut in two."""
    return max(0, (now_ns - round(keep_s * 1e9)) // FIVE_MINUTES_NS * FIVE_MINUTES_NS)


def early_removal(oldest_ns: int, now_ns: int) -> int:
    """Where the store is over its limit of disk space: raw samples before this are removed, a twentieth of their time.

    A twentieth, and not as much as is over the limit: the store does not know how many bytes a sample takes, because
    DuckDB compresses columns. Maintenance runs every minute, so what is still too much is removed by the next.
    """
    before = oldest_ns + max((now_ns - oldest_ns) // 20, FIVE_MINUTES_NS)
    return min(before, now_ns) // FIVE_MINUTES_NS * FIVE_MINUTES_NS
