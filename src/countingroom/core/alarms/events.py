"""Events and effects of one alarm: the input and output of `core/alarms/chart.py`.

An event says what happened: the condition became true or clear, a person gave a command, time passed. An effect says
what must be announced or recorded because of it. Times are ns since the epoch.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.alarms.states import Priority
from countingroom.core.errors import Cause


class ConditionActive(Struct, frozen=True, kw_only=True, gc=False):
    """The condition is true. While it was true before, only a more urgent priority has an effect (a re-alarm)."""

    priority: Priority
    since_ns: int
    """When it became true, before any delay."""
    text: str = ""
    """One sentence: what is abnormal, with value, limit and unit."""
    as_consequence: bool = False
    """It follows from another alarm, under which it is folded: it is not announced."""


class ConditionClear(Struct, frozen=True, kw_only=True):
    """The condition is not true. It has no effect where it was clear before."""

    since_ns: int | None = None
    """When it became clear, before any delay; None: now."""


class ReAlarm(Struct, frozen=True, kw_only=True):
    """The alarm is to be announced again, because it has been active for so long. Without effect when it is clear."""


class Acknowledge(Struct, frozen=True, kw_only=True):
    """A person takes notice of one occurrence."""

    by: str
    occurrence: int
    """The occurrence that was seen; any other one is refused."""
    comment: str = ""
    priority: Priority | None = None
    """The priority that was seen: refused where the alarm is more urgent now. None: it does not matter."""


class Reset(Struct, frozen=True, kw_only=True):
    """A person ends the latch of an alarm whose condition is clear and which is acknowledged."""

    by: str
    occurrence: int | None = None
    """The occurrence that was seen; any other one is refused. None: it does not matter."""


class Shelve(Struct, frozen=True, kw_only=True):
    """A person shelves the alarm until a time. Of a shelved alarm it replaces the shelf."""

    by: str
    reason: str
    until_ns: int
    once: bool = False
    """It also ends when the condition clears for the first time."""


class Unshelve(Struct, frozen=True, kw_only=True):
    """A person ends the shelf before its time."""

    by: str


class Suppress(Struct, frozen=True, kw_only=True):
    """The condition for suppression by design is true."""

    why: str
    """One sentence, which is shown; not empty."""


class EndSuppression(Struct, frozen=True, kw_only=True):
    """The condition for suppression by design is false or unknown."""

    delay_ns: int = 0
    """The on-delay of the alarm, which begins anew: while its condition is true it stays suppressed for so long."""


class TakeOutOfService(Struct, frozen=True, kw_only=True):
    """An expert takes the alarm out of service. Of an alarm that is out of service it replaces owner and due date."""

    by: str
    owner: str
    """The person who repairs it."""
    reason: str
    due_ns: int


class PutInService(Struct, frozen=True, kw_only=True):
    """An expert puts the alarm in service again."""

    by: str


class Remark(Struct, frozen=True, kw_only=True):
    """A person comments on the alarm. Allowed in every state."""

    by: str
    text: str


class TimePassed(Struct, frozen=True, kw_only=True):
    """Only time passed. Shelves and suppressions that have reached their end are removed (`next_due_ns`)."""


AlarmEvent = (
    ConditionActive
    | ConditionClear
    | ReAlarm
    | Acknowledge
    | Reset
    | Shelve
    | Unshelve
    | Suppress
    | EndSuppression
    | TakeOutOfService
    | PutInService
    | Remark
    | TimePassed
)


class EffectKind(StrEnum):
    """What follows from an event. Those of ANNOUNCEMENTS are told to people, all others are recorded."""

    OCCURRED = "occurred"
    """The condition became true: a new occurrence. Recorded also where it is not announced."""
    ANNOUNCE = "announce"
    """Announce a new occurrence."""
    ANNOUNCE_BY_RATE = "announce_by_rate"
    """Announce a new occurrence of an alarm whose last one is not acknowledged, as often as the route allows."""
    RE_ANNOUNCE = "re_announce"
    """Announce the same occurrence again: its priority rose, or it has been active for so long."""
    ANNOUNCE_BACK = "announce_back"
    """Announce, once, an alarm that is still active when its last flag is taken away ("back from the shelf")."""
    PRIORITY = "priority"
    """The priority of an active alarm changed."""
    RETURNED = "returned"
    """The condition became clear."""
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    """By a person, at its time, or at the first clear."""
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    COMMENTED = "commented"
    REFUSED = "refused"
    """The command is refused with the cause; the record is unchanged."""


ANNOUNCEMENTS = frozenset(
    {EffectKind.ANNOUNCE, EffectKind.ANNOUNCE_BY_RATE, EffectKind.RE_ANNOUNCE, EffectKind.ANNOUNCE_BACK}
)


class AlarmEffect(Struct, frozen=True, kw_only=True, gc=False):
    """One effect of one event, in the order in which they are to be recorded."""

    kind: EffectKind
    occurrence: int
    """The occurrence that it is about."""
    cause: Cause | None = None
    """Why it is refused."""
