"""The specifications of conditions, one type for each kind, and the state of their evaluation.

Times and delays are ns. A priority is 1 (high) to 4 (for information); a level is 0 (clear) or a priority.
"""

from __future__ import annotations

import math
import operator
from typing import Annotated

from msgspec import Meta, Struct, structs

from countingroom.core.alarms.states import Priority
from countingroom.core.values import Scalar

CLEAR = 0
NEVER = (1 << 63) - 1
"""A due time that does not come."""
MISSING = 4
"""A quality beyond those of readings: there has been no reading since the start."""
MOST_COUNTED = 16

Delay = Annotated[int, Meta(ge=0)]
Level = Annotated[int, Meta(ge=0, le=4)]


class AlarmLimit(Struct, frozen=True, gc=False):
    """One limit, in the unit of the value, and the priority beyond it."""

    value: float
    priority: Priority

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a limit must be a number; got {self.value}")


_value = operator.attrgetter("value")


class _Settled(Struct, frozen=True, kw_only=True, gc=False):
    """How every kind is protected from chatter. ValueError when `count` is more than `of`."""

    on_delay_ns: Delay = 0
    """It must be abnormal for so long before it is an alarm."""
    off_delay_ns: Delay = 0
    """It must be normal for so long before the alarm is clear."""
    count: Annotated[int, Meta(ge=1, le=MOST_COUNTED)] = 1
    """At least so many of the last `of` readings must be abnormal."""
    of: Annotated[int, Meta(ge=1, le=MOST_COUNTED)] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.of <= MOST_COUNTED:
            raise ValueError(
                f"{self.count} of the last {self.of}: give 1 to {MOST_COUNTED}, and at most as many as `of`"
            )
        if self.on_delay_ns < 0 or self.off_delay_ns < 0:
            raise ValueError("a delay must not be negative")


class _Limited(_Settled, frozen=True, kw_only=True, gc=False):
    high: tuple[AlarmLimit, ...] = ()
    """Abnormal above these. They are kept in ascending order."""
    low: tuple[AlarmLimit, ...] = ()
    """Abnormal below these. They are kept in descending order."""
    hysteresis: float = 0.0
    """A value must come back so far inside a limit before it is normal again."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.high) > 1:
            structs.force_setattr(self, "high", tuple(sorted(self.high, key=_value)))
        if len(self.low) > 1:
            structs.force_setattr(self, "low", tuple(sorted(self.low, key=_value, reverse=True)))
        if not (math.isfinite(self.hysteresis) and self.hysteresis >= 0):
            raise ValueError(f"a hysteresis must not be negative; got {self.hysteresis}")
        # Otherwise a value could be held above one limit and below another at once.
        if self.high and self.low and self.hysteresis > max(0.0, self.high[0].value - self.low[0].value):
            raise ValueError(f"the hysteresis {self.hysteresis:g} is wider than the range between the limits")


class LimitSpec(_Limited, frozen=True, kw_only=True, gc=False, tag="limits"):
    """A value beyond a limit: HIHI, HI, LO, LOLO. An alarm that the device itself gives to its value counts as well.

    Equal to a limit is normal, as everywhere in the product. A text or a truth value is beyond no limit.
    """


class RateSpec(_Limited, frozen=True, kw_only=True, gc=False, tag="rate"):
    """A value that changes too fast: `high` and `low` are limits of its change in units per second.

    The change is that over windows of `over_ns`, which follow one another without a gap from the first known value on;
    after an unknown value they begin anew. Without a new reading a value counts as unchanged.
    """

    over_ns: Annotated[int, Meta(ge=100_000_000)] = 1_000_000_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over_ns < 100_000_000:
            raise ValueError("a rate is taken over at least 0.1 s")


class DeviationSpec(_Limited, frozen=True, kw_only=True, gc=False, tag="deviation"):
    """Readback and setpoint differ too much: `high` are limits of the absolute difference. It has no `low`.

    The value given to it is readback minus setpoint (`difference` in `kinds.py`).
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low:
            raise ValueError("a deviation has no low limit")


class StateSpec(_Settled, frozen=True, kw_only=True, gc=False, tag="state"):
    """A value that is one of `states`, or with `inside=False` is none of them.

    For states of devices, channels, systems, partitions, agents and roles, for codes, and for the flag of a fault:
    `states=(False,), inside=False`.
    """

    states: tuple[Scalar, ...]
    priority: Priority
    inside: bool = True


class QualitySpec(_Settled, frozen=True, kw_only=True, gc=False, tag="quality"):
    """A value that is uncertain, stale, bad or missing. 0: not an alarm."""

    uncertain: Level = CLEAR
    stale: Level = CLEAR
    bad: Level = CLEAR
    missing: Level = CLEAR


class UpdateSpec(_Settled, frozen=True, kw_only=True, gc=False, tag="update"):
    """No usable value received for a time, whether it changed or not. A value that a device host repeats in a full
    message was received before."""

    after_ns: Annotated[int, Meta(gt=0)]
    priority: Priority

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of > 1:
            raise ValueError("readings that did not come cannot be counted: leave out `count` and `of`")
        if self.after_ns <= 0:
            raise ValueError("give a time above 0")


class ExpressionSpec(_Settled, frozen=True, kw_only=True, gc=False, tag="expression"):
    """An expression over several points is true; see `core/alarms/expressions.py`."""

    expression: str
    priority: Priority
    names: dict[str, str] = {}
    """Short name -> address of a point."""


ConditionSpec = LimitSpec | RateSpec | DeviationSpec | StateSpec | QualitySpec | UpdateSpec | ExpressionSpec


class ConditionState(Struct, frozen=True, kw_only=True, gc=False):
    """The state of the evaluation of one condition. `level` is its result, the other fields are its memory."""

    level: Level = CLEAR
    since_ns: int = 0
    """When it became active, or clear, before any delay."""
    due_ns: int = NEVER
    """When it is to be evaluated again though no reading comes."""
    unknown: bool = False
    """It cannot be evaluated now: the level is that of the last known value."""
    raw: Level = CLEAR
    """The level before the delays."""
    turned_ns: tuple[int, int, int, int] = (0, 0, 0, 0)
    """For each priority p: since when the raw level is, or is not, at least as urgent as p."""
    held: int = 0
    """How many limits are exceeded: above 0 of the high ones, below 0 of the low ones."""
    recent: int = 0
    """The last `of` levels, three bits each, the newest in the lowest ones."""
    value: float = 0.0
    """The last known value, of a rate."""
    anchor: float = 0.0
    """The value at the beginning of the window of a rate."""
    anchor_ns: int = -1
    """The beginning of this window, or the last update; -1: there is none yet."""


AT_REST = ConditionState()
"""The state of every condition that is clear, known, and waits for nothing; one object for all of them."""
UNREAD = ConditionState(unknown=True)
"""The state of a clear condition before its first reading; one object as well."""
