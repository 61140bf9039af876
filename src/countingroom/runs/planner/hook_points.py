"""Hook points: the moments on the way to a goal at which hooks are started or awaited.

A hook point is passed once on the way to a goal. A point after something (`after start`) is passed only if the same way
passed the point before it.
"""

from __future__ import annotations

import msgspec

from countingroom.runs.planner import causes
from countingroom.runs.planner.attempts import Attempts
from countingroom.runs.planner.decision import Decision
from countingroom.runs.planner.template import Template


class HookPoints:
    """The moments of one plan."""

    def __init__(self, template: Template, attempts: Attempts) -> None:
        self._template = template
        self._attempts = attempts
        self._passed: set[str] = set()

    def at(self, hook_point: str) -> Decision | None:
        """Begin what this moment triggers and wait for what it awaits; None to go on. A failure hinders no stop."""
        if not self._template.hooks:
            return None
        if hook_point not in self._attempts.hook_points:
            self._passed.add(hook_point)
            begin = (hook for hook in self._template.hooks if hook.trigger == hook_point)
            if hooks := tuple(hook for hook in begin if hook.name not in self._attempts.hooks):
                return Decision(hooks=hooks)
        for hook in self._template.hooks:
            run = self._attempts.hooks.get(hook.name)
            if hook.awaited != hook_point or run is None:
                continue
            if not run.over:
                return Decision(waiting=(hook.name,))
            if run.cause and hook.critical and not hook_point.endswith(" stop"):
                return Decision(obstacle=causes.hook_failed(hook, run.cause), level=len(self._template.levels))
        return None

    def after(self, what: str) -> Decision | None:
        """The moment after something, where the way passed the one before it."""
        before = f"before {what}"
        return self.at(f"after {what}") if before in self._attempts.hook_points or before in self._passed else None

    def noted(self, decision: Decision) -> Decision:
        """The decision, with the moments that are passed now."""
        return msgspec.structs.replace(decision, hook_points=frozenset(self._passed)) if self._passed else decision
