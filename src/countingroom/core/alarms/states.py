"""Alarms as they are published: their states, flags and identity. Terms are those of ISA-18.2 / IEC 62682.

An alarm has a base state, which always follows its condition, and three independent flags: shelved, suppressed by
design, out of service. What a page shows is one word made of both (`shown`).

Only the alarm department writes these states. An alarm that is normal and has no flag has no key in the bucket, so that
a hundred thousand quiet alarms cost nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from countingroom.core.values import Scalar

HIGHEST_PRIORITY = 1
LOWEST_PRIORITY = 4

Priority = Annotated[int, Meta(ge=HIGHEST_PRIORITY, le=LOWEST_PRIORITY)]
"""1 high, 2 medium, 3 low, 4 for information; a smaller number is more urgent."""


class BaseState(StrEnum):
    """The states of the chart of an alarm; the letters are those of ISA-18.2."""

    NORMAL = "normal"
    """A: the condition is clear, and nothing is left to do."""
    UNACKNOWLEDGED = "unacknowledged"
    """B: active, and not acknowledged."""
    ACKNOWLEDGED = "acknowledged"
    """C: active and acknowledged."""
    RETURNED = "returned"
    """D: the condition is clear again, and not acknowledged."""
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    """The condition is clear, the alarm latches and is not acknowledged."""
    LATCHED = "latched"
    """The condition is clear, the alarm is acknowledged and waits for its reset."""

    @property
    def is_active(self) -> bool:
        """Whether the condition is true."""
        return self is BaseState.UNACKNOWLEDGED or self is BaseState.ACKNOWLEDGED

    @property
    def needs_acknowledgement(self) -> bool:
        """Whether a person still has to acknowledge it."""
        return self in (BaseState.UNACKNOWLEDGED, BaseState.RETURNED, BaseState.LATCHED_UNACKNOWLEDGED)


class ShownState(StrEnum):
    """The word for an alarm on pages: a flag comes before the base state."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED = "latched"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"


class Shelf(Struct, frozen=True, kw_only=True):
    """A person has shelved the alarm for a time: it is evaluated and recorded, and not announced."""

    by: str
    reason: str
    since_ns: int
    until_ns: int
    once: bool = False
    """It also ends when the condition clears for the first time."""


class OutOfService(Struct, frozen=True, kw_only=True):
    """The alarm is out of service: shown in grey, and never announced."""

    by: str
    """The user who took it out of service."""
    owner: str
    """The person who repairs it."""
    reason: str
    since_ns: int
    due_ns: int
    """When it should be in service again; later it is overdue, which is an alarm of its own."""


class AlarmState(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The state of one alarm, at the key `alarm.<id>` of the bucket `state`. A field that has its default is left out
    where it is encoded: of most alarms half of the fields, and a page gets the states of all."""

    id: str
    """Unique and lasting; see `core/alarms/identity.py`."""
    area: str = ""
    """Path in the area tree: `cooling/chiller`."""
    title: str
    """Its source for people: `Julabo chiller / Bath`."""
    base: BaseState
    priority: Priority
    """Of the present or last activation."""
    text: str
    """One sentence: what is abnormal, with value, limit and unit. Of the last activation where it is clear again."""
    advice: str = ""
    """What to do, from the guidance or the cause."""
    occurrence: int
    """Number of this activation, 1, 2, 3 …; an acknowledgement names the one that was seen."""
    since_ns: int
    """When the condition of this occurrence became true, before any delay."""
    announced_ns: int | None = None
    """When it was announced; None: not, because of a flag or as a consequence of another alarm."""
    changed_ns: int
    """When the base state or a flag changed last."""
    returned_ns: int | None = None
    """When the condition of this occurrence became clear; None while it is active."""
    acknowledged_by: str = ""
    acknowledged_ns: int | None = None
    comment: str = ""
    """The comment given with the acknowledgement."""
    shelf: Shelf | None = None
    suppressed: str = ""
    """Why it is suppressed by design; empty: it is not."""
    service: OutOfService | None = None
    latching: bool = False
    unknown: bool = False
    """The condition cannot be evaluated now; the state is the one before."""
    cause_id: str = ""
    """The alarm that this one follows from, under which it is folded; empty: it stands for itself."""
    first_out: bool = False
    """It came first of a group of alarms that follow from one another."""
    device: str = ""
    """The device that it is about; empty: none."""
    channel: str = ""
    point: str = ""
    """Name of the point within the device; empty: the alarm is about a state."""
    partition: str = ""
    system: str = ""
    value: Scalar = None
    """The value at the present evaluation of a limit."""

    @property
    def shown(self) -> ShownState:
        """Out of service before suppressed before shelved before the base state."""
        if self.service is not None:
            return ShownState.OUT_OF_SERVICE
        if self.suppressed:
            return ShownState.SUPPRESSED
        if self.shelf is not None:
            return ShownState.SHELVED
        return ShownState(self.base.value)

    @property
    def has_flag(self) -> bool:
        """Whether it is shelved, suppressed or out of service, and so not announced."""
        return self.service is not None or bool(self.suppressed) or self.shelf is not None

    @property
    def is_at_rest(self) -> bool:
        """Whether it is normal and has no flag: then it has no key in the bucket."""
        return self.base is BaseState.NORMAL and not self.has_flag
