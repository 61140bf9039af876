"""The specification of a rule: its trigger, and how often it may act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from countingroom.core.messages import Event, EventKind
from countingroom.core.values import Scalar

NEVER = (1 << 63) - 1
"""A due time that does not come."""


class ConditionTrigger(Struct, frozen=True, kw_only=True, tag="condition"):
    """A condition that becomes true."""

    hold_ns: Annotated[int, Meta(ge=0)] = 0
    """The condition must be known and true for this time without a break."""
    acts_if_already_true: bool = False
    """Whether it acts where the condition is true already at the start of the department, or when the rule is armed."""


class CronTrigger(Struct, frozen=True, kw_only=True, tag="cron"):
    """Times of the day, in the five fields of cron."""

    expression: str
    zone: str = "UTC"
    """Name of a time zone: `Europe/Berlin`."""


class EventTrigger(Struct, frozen=True, kw_only=True, tag="event"):
    """An event of a department. It must have every value that is given here; an empty one is not compared."""

    department: str
    kind: EventKind | None = None
    source: str = ""
    channel: str = ""
    action: str = ""
    before: str = ""
    after: str = ""
    principal: str = ""
    data: Mapping[str, Scalar] = {}

    def matches(self, event: Event) -> bool:
        """Whether the event is one of these."""
        if event.department != self.department or (self.kind is not None and event.kind is not self.kind):
            return False
        for name in TEXTS_OF_EVENT:
            if (wanted := getattr(self, name)) and getattr(event, name) != wanted:
                return False
        return all(name in event.data and event.data[name] == value for name, value in self.data.items())


TEXTS_OF_EVENT = ("source", "channel", "action", "before", "after", "principal")
"""Fields of an event that a trigger may compare, beside its kind and its data."""

Trigger = ConditionTrigger | CronTrigger | EventTrigger


class FiringRate(Struct, frozen=True, kw_only=True):
    """A rule acts at most `times` in each span of `per_ns`."""

    times: Annotated[int, Meta(ge=1, le=100)] = 1
    per_ns: Annotated[int, Meta(gt=0)] = 60_000_000_000


class RuleSpec(Struct, frozen=True, kw_only=True):
    """One rule, as its state table needs it. `actions.py` has its actions."""

    name: str
    trigger: Trigger
    has_unless: bool = False
    """Whether a second condition must be known and false when it acts."""
    most: FiringRate = FiringRate()
    armed: bool = True
    """Whether its description arms it: at first, and each time that the description is changed."""


def principal_of(rule: str) -> str:
    """The name of the principal that a rule acts as."""
    return f"rule.{rule}"
