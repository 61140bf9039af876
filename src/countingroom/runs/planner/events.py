"""The facts that can happen to a partition, and the effects that its reducer can return."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.partitions import Configuration, Goal, Member, Step
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import Action, SystemState
from countingroom.runs.planner.template import Hook

# What happened.


class Reported(Struct, frozen=True, kw_only=True):
    """A system said its state."""

    state: SystemState


class LinkChanged(Struct, frozen=True, kw_only=True):
    """A system is heard, or no longer."""

    system: str
    connected: bool
    cause: Cause | None = None


class OrderRefused(Struct, frozen=True, kw_only=True):
    """An agent did not take an order, or did not answer."""

    system: str
    action: Action
    cause: Cause
    id: str = ""
    """Of the order; empty: any that is pending."""


class GoalSet(Struct, frozen=True, kw_only=True):
    """A permitted user asked for this goal; None: the partition stays where it is and only follows its systems."""

    goal: Goal | None
    run: int = 0
    """The number given out for the run that is to be recorded; 0: none is begun."""
    end: RunEnd = RunEnd.STOPPED
    """Why the open run ends, where this goal ends it."""


class MembersSet(Struct, frozen=True, kw_only=True):
    """Members, their inclusion or their wanted configurations are others now."""

    members: tuple[Member, ...]
    tag: str


class HookOver(Struct, frozen=True, kw_only=True):
    """A hook's program ended; `cause`: why it failed."""

    hook: str
    cause: Cause | None = None


class LockSet(Struct, frozen=True, kw_only=True):
    """No commands are taken, or again."""

    locked: bool


class StartForbidden(Struct, frozen=True, kw_only=True):
    """An interlock forbids the start of a run, or no longer."""

    cause: Cause | None


Fact = Reported | LinkChanged | OrderRefused | GoalSet | MembersSet | HookOver | LockSet | StartForbidden


# What is to be done.


class SendOrder(Struct, frozen=True, kw_only=True):
    """Tell an agent."""

    id: str
    """Unique: made of the partition, the time and a count."""
    step: Step
    deadline_ns: int
    """By the same clock as `now_ns` of the step."""
    configuration: Configuration | None
    run: int
    base: str = ""
    """See `Order.base`."""


class PartitionMoved(Struct, frozen=True, kw_only=True):
    """The partition's state went this way; one record a row."""

    rows: tuple[tuple[str, str, str], ...]
    cause: Cause | None


class RunBegan(Struct, frozen=True, kw_only=True):
    """All recorders of the run record."""

    run: int


class RunOver(Struct, frozen=True, kw_only=True):
    """No system records any more: close the run."""

    run: int
    end: RunEnd
    cause: Cause | None
    missing: Mapping[str, str] = {}
    """Recorder -> why its data or its counters may not be complete."""


class RunHook(Struct, frozen=True, kw_only=True):
    """Begin a hook's program; HookOver tells its end."""

    hook: Hook
    run: int
    goal: str
    tag: str
    deadline_ns: int


class Excluded(Struct, frozen=True, kw_only=True):
    """Taken out by the recovery policy."""

    system: str
    cause: Cause


class GoalMet(Struct, frozen=True, kw_only=True):
    """It is reached: the command that asked for it is done."""

    goal: Goal


class GoalFailed(Struct, frozen=True, kw_only=True):
    """It will not get there by itself, or another took its place: the command that asked for it has failed."""

    goal: Goal
    cause: Cause


Effect = SendOrder | PartitionMoved | RunBegan | RunOver | RunHook | Excluded | GoalMet | GoalFailed
