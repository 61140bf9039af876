"""The state of a rule as it is published at the key `rule.<name>` of the bucket `state`, and as it is saved."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.rules.step import RuleMemory
from countingroom.core.values import Scalar


class ActionResult(StrEnum):
    """How an action of a firing stands."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It was begun, and its process ended: it may or may not have been done."""
    NOT_BEGUN = "not_begun"


OPEN = (ActionResult.WAITING, ActionResult.UNDER_WAY)


class ActionOutcome(Struct, frozen=True, kw_only=True):
    """One action of a firing."""

    action: str
    """In words: `caen: hv_off 0`."""
    result: ActionResult = ActionResult.WAITING
    cause: Cause | None = None
    """Why it was refused or failed."""
    ended_ns: int | None = None


class Firing(Struct, frozen=True, kw_only=True):
    """A rule acted, with its evidence and what became of its actions."""

    number: int
    """1, 2, 3 … for each rule."""
    time_ns: int
    """When it acted."""
    since_ns: int = 0
    """Since when its condition was true; of a time of cron, that time."""
    evidence: dict[str, Scalar] = {}
    """Address -> value of what it depends on, at that time."""
    outcomes: tuple[ActionOutcome, ...] = ()
    ended_ns: int | None = None
    """None: its actions are under way."""

    @property
    def is_good(self) -> bool:
        """Whether every action was done."""
        return all(one.result is ActionResult.DONE for one in self.outcomes)

    @property
    def cause(self) -> Cause | None:
        """Why the first action that was not done was not."""
        return next((one.cause for one in self.outcomes if one.cause is not None), None)


class RulePhase(StrEnum):
    """The phase of a rule: what it waits for, or that it acts."""

    DISARMED = "disarmed"
    WAITING = "waiting"
    """For its condition, its next time, or an event."""
    UNKNOWN = "unknown"
    """Its condition cannot be evaluated now."""
    HOLDING = "holding"
    """Its condition is true, and must be for a time."""
    STOPPED = "stopped"
    """Its condition is true; `unless` is true too, or not known."""
    SPENT = "spent"
    """It acted, or passed over the present truth of its condition: this must be false before it acts again."""
    ACTING = "acting"
    """Its actions are under way."""
    BROKEN = "broken"
    """It cannot be evaluated."""


class RuleState(Struct, frozen=True, kw_only=True):
    """One rule."""

    rule: str
    title: str
    reason: str = ""
    when: str = ""
    """In words: `chiller.bath is above 35, for 5 min`."""
    unless: str = ""
    actions: tuple[str, ...] = ()
    armed: bool
    armed_by: str = ""
    """The person who armed or disarmed it last; empty: the description did."""
    armed_ns: int = 0
    armed_reason: str = ""
    arming: str = "shifter"
    """The lowest role that may arm and disarm it."""
    phase: RulePhase
    since_ns: int = 0
    """Since when its condition is true; 0: it is not."""
    due_ns: int | None = None
    """When it acts next as far as is known now: its next time of cron, or the end of the time to hold."""
    firings: int = 0
    last: Firing | None = None
    held_back: int = 0
    """Times that it was held back by its rate since the last firing."""
    most_times: int = 1
    most_per_s: float = 60.0
    """It acts at most `most_times` in so many seconds."""
    problem: str = ""
    """Why it cannot be evaluated."""


class SavedRule(Struct, frozen=True, kw_only=True):
    """The part of a rule that is saved in the database."""

    memory: RuleMemory
    last: Firing | None = None
    under_way: Firing | None = None
    """A firing whose actions had not ended when this was saved."""
