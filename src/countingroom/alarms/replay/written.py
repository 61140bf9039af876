"""Times and lengths of a replay as text. Pure."""

from __future__ import annotations

from countingroom.core.times import duration, format_time

_S = 1_000_000_000


def second(time_ns: int) -> str:
    """A time cut to the second: `2026-11-28T06:00:00Z`."""
    return format_time(time_ns - time_ns % _S)


def length_of(length_ns: int) -> str:
    """A length of time: `2 h 53 min`, `4 min 10 s`; empty for 0."""
    if length_ns < _S:
        return "< 1 s" if length_ns else ""
    return duration(length_ns // _S)
