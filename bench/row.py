"""A result stands beside the raw limit measured in the same run, and its goal where there is one."""

from __future__ import annotations

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table that `make bench` prints."""

    name: str
    value: float
    unit: str
    raw_limit: float | None = None
    """The same without us: the library alone, the store alone."""
    ratio: float | None = None
    """`value / raw_limit`."""
    goal: str = ""
    """`<= 10 ms`."""
    ratio_goal: float | None = None
    """The most that `ratio` may be."""
