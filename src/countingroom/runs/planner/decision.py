"""The result of planning: the steps to begin now, what to wait for, and what is in the way."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.partitions import Step
from countingroom.runs.planner.template import Hook


class Decision(Struct, frozen=True, kw_only=True):
    """What to do now."""

    steps: tuple[Step, ...] = ()
    waiting: tuple[str, ...] = ()
    """Systems (and hooks) that are still at it."""
    adopt: tuple[Step, ...] = ()
    """Systems found configuring without an order: they have the time that one would have."""
    exclude: Mapping[str, Cause] = {}
    """Expendable members that used up their attempts, where the policy says so."""
    hooks: tuple[Hook, ...] = ()
    """To be begun."""
    hook_points: frozenset[str] = frozenset()
    """Moments that are passed now."""
    obstacle: Cause | None = None
    """Why it does not go on by itself."""
    level: int = 0
    """Where the obstacle is: how many levels are below it."""

    @property
    def settled(self) -> bool:
        """No order to give, and none to wait for."""
        return not (self.steps or self.waiting or self.adopt or self.exclude or self.hooks)
