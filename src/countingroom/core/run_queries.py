"""Law: a question to run control changes nothing; its answer is a value or a Refusal (core/series.py)."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.partitions import Plan


class PlanQuery(Struct, frozen=True, kw_only=True):
    """How would the partition get there? Asked on `query.runs.plan`."""

    partition: str
    goal: str
    """A state it can rest in."""
    tag: str = ""
    """As it would be with this global tag; empty: with what is selected."""


class PlanAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """The way; its `obstacle` says why the goal cannot be reached from here."""

    plan: Plan
