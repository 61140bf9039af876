"""Queries to run control and their answers. A query has no effect; its answer is a value or `QueryRefusal`."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.partitions import Plan


class PlanQuery(Struct, frozen=True, kw_only=True):
    """Requests the plan of a partition for a goal, on `query.runs.plan`."""

    partition: str
    goal: str
    """A stable state of its template."""
    tag: str = ""
    """Plan with this global tag; empty: with the present selection."""
    reconfigure: bool = False
    """Plan only the changes in place, in the present state; `goal` is not used."""


class PlanAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The plan; `plan.obstacle` gives the reason when the goal cannot be reached."""

    plan: Plan


class MoveQuery(Struct, frozen=True, kw_only=True):
    """Requests what a move of detectors would change, on `query.runs.move`."""

    detectors: tuple[str, ...]
    to: str = ""
    """Empty: no partition."""


class MoveEffect(Struct, frozen=True, kw_only=True):
    """What a move changes in one partition."""

    partition: str
    before: str
    """Its present state."""
    after: str
    """Its state with the members after the move."""
    joins: tuple[str, ...] = ()
    """Detectors that come into it; they are aborted."""
    leaves: tuple[str, ...] = ()
    configures: tuple[str, ...] = ()
    """Systems that stay in it and are configured again at the next `configure`, because what is below them changes."""
    run: int = 0
    """The run that it records; 0: none."""
    tag: str = ""
    """The selected tag."""
    fits: bool = False
    """Whether the selected tag names a configuration for exactly the systems after the move."""
    tags: tuple[str, ...] = ()
    """The tags that do."""


class MoveAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """What a move would change; it is not carried out."""

    effects: tuple[MoveEffect, ...]
    obstacle: Cause | None = None
    """Why the move would be refused without `force`."""
