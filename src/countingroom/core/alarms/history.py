"""The stored data of alarms: the state that survives a restart, and the history of each alarm.

The alarm department writes both in one transaction, which is synced to disk before it answers a command.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from countingroom.core.alarms.states import AlarmState, BaseState, Priority
from countingroom.core.values import Scalar


class SavedAlarm(Struct, frozen=True, kw_only=True):
    """The state of one alarm in the database. An alarm at rest keeps the number of its last occurrence, so that a
    number is never given twice."""

    id: str
    occurrence: int
    """Number of the last occurrence; 0: there was none."""
    state: AlarmState | None = None
    """As it was published last; None: at rest."""
    extra: dict[str, Any] = {}
    """Further plain values of the department, which only it reads."""


class HistoryKind(StrEnum):
    """What happened to an alarm."""

    ANNOUNCED = "announced"
    """It became active and was announced."""
    ACTIVATED = "activated"
    """It became active without an announcement, because of a flag or as a consequence of another alarm."""
    ANNOUNCED_AGAIN = "announced_again"
    """It was still active and was announced once more, after a time or because its shelf ended."""
    RAISED = "raised"
    """Its priority rose while it was active."""
    LOWERED = "lowered"
    """Its priority fell while it was active."""
    RETURNED = "returned"
    """Its condition became clear."""
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    """A person ended the shelf."""
    SHELF_ENDED = "shelf_ended"
    """The shelf ended by its time, or by the first return of a one-shot shelf."""
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    OVERDUE = "overdue"
    """It was still out of service after its due date. Of earlier versions: now that is an alarm of its own."""
    COMMENTED = "commented"
    UNKNOWN = "unknown"
    """Its condition cannot be evaluated any more."""
    KNOWN = "known"
    """Its condition can be evaluated again."""
    CLOSED = "closed"
    """The description has no such alarm any more."""


class AlarmEntry(Struct, frozen=True, kw_only=True, gc=False):
    """One row of the history of an alarm. Two rows of the same alarm, time, kind, occurrence and person are one."""

    sequence: int = 0
    """Given by the database, in the order in which the rows were stored."""
    time_ns: int
    alarm: str
    """Identity of the alarm, see `core/alarms/identity.py`."""
    area: str = ""
    """Its area at that time."""
    title: str = ""
    """Its source for people at that time."""
    kind: HistoryKind
    occurrence: int
    base: BaseState
    """The base state after it."""
    priority: Priority
    person: str = ""
    """The user who did it; empty: the department."""
    text: str = ""
    """What is abnormal, or the comment or reason that the person gave."""
    until_ns: int | None = None
    """End of the shelf, or the due date of an alarm out of service."""
    value: Scalar = None
    """The value that was evaluated."""
    cause_id: str = ""
    """The alarm that this one follows from."""


class AlarmHistoryFilter(Struct, frozen=True, kw_only=True):
    """Filter of the history. A row must match every field that is given."""

    alarm: str = ""
    area: str = ""
    """This area and all below it."""
    kinds: tuple[HistoryKind, ...] = ()
    person: str = ""
    priority: int | None = None
    """This priority and more urgent ones."""
    from_ns: int | None = None
    to_ns: int | None = None
    """Rows before this time."""
    before: int | None = None
    """Only rows with a lower sequence number. For the next page, give the last number of this page."""
    limit: int = 100
