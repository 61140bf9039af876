"""Queries to run control and their answers. A query has no effect; its answer is a value or `QueryRefusal`."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.partitions import Plan


class PlanQuery(Struct, frozen=True, kw_only=True):
    """Requests the plan of a partition for a goal, on `query.runs.plan`."""

    partition: str
    goal: str
    """A stable state of its template."""
    tag: str = ""
    """Plan with this global tag; empty: with the present selection."""


class PlanAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The plan; `plan.obstacle` gives the reason when the goal cannot be reached."""

    plan: Plan
