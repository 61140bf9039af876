"""The query over the bus which persons are on duty, `query.alarms.duty`, and its answer."""

from __future__ import annotations

from msgspec import Struct

MOST_TURNS = 100


class DutyQuery(Struct, frozen=True, kw_only=True):
    """The present turn of each calendar, and those that follow."""

    turns: int = 3
    """At most so many of each calendar, at most 100."""


class DutyTurn(Struct, frozen=True, kw_only=True):
    """A person has the duty from a time to a time."""

    person: str
    """Empty: no person has it."""
    from_ns: int
    """Of the present turn: now."""
    until_ns: int | None = None
    """None: it never changes again."""
    channels: tuple[str, ...] = ()
    """Those of the person."""


class CalendarDuty(Struct, frozen=True, kw_only=True):
    """One calendar."""

    calendar: str
    zone: str
    turns: tuple[DutyTurn, ...] = ()
    """The present one first."""


class DutyAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """All calendars, in the order of the description."""

    calendars: tuple[CalendarDuty, ...] = ()
