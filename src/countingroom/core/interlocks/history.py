"""The history of interlocks: one row for each thing that happened to one."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.interlocks.events import ActionKind


class InterlockEntry(Struct, frozen=True, kw_only=True):
    """One row. Two rows of the same interlock, time, kind, name, trip and person are one."""

    sequence: int = 0
    """Given by the database, in the order in which the rows were stored."""
    time_ns: int
    interlock: str
    kind: ActionKind
    name: str = ""
    """The cause or effect that it is about."""
    trip: int = 0
    person: str = ""
    """The user who did it; empty: the department."""
    text: str = ""


class InterlockHistoryQuery(Struct, frozen=True, kw_only=True):
    """`query.alarms.interlock_history`: the last rows of an interlock."""

    interlock: str = ""
    """Empty: of all."""
    limit: int = 50
    from_ns: int | None = None
    before_ns: int | None = None
    """Only rows before this time; None: the newest."""


class InterlockHistoryAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """Newest first."""

    records: tuple[InterlockEntry, ...] = ()
