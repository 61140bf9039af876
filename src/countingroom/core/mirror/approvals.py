"""Which templates of log lines are approved: by the files of the description, and by decisions of people.

A decision takes the place of what a file says of the same template. The table is shared by all that redacts, so that a
decision counts from the next line on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct

from countingroom.core.mirror.templates import Approval

_ID_LETTERS = 12


class TemplateDecision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided of a template."""

    approval: Approval
    """With `refused`: it does not leave. `by` decided, at `changed_ns`."""
    reason: str = ""
    expires_ns: int = 0
    """From then on its lines are withheld again; 0: never."""
    waits: bool = False
    """A second person must confirm it; until then its lines are withheld."""
    confirmed_by: str = ""
    withdrawn: bool = False
    """It is not decided any more."""

    @property
    def template(self) -> str:
        """The template."""
        return self.approval.template

    def holds(self, now_ns: int) -> bool:
        """Whether it says at this time what becomes of a line."""
        return not self.waits and not self.withdrawn and not (self.expires_ns and self.expires_ns <= now_ns)


def template_id(template: str) -> str:
    """A short name of a template."""
    return hashlib.sha256(template.encode()).hexdigest()[:_ID_LETTERS]


class ApprovalTable:
    """The approvals in force."""

    def __init__(self, files: Iterable[Approval] = ()) -> None:
        """`files`: those of the description."""
        self._files = {one.template: one for one in files}
        self._decisions: dict[str, TemplateDecision] = {}
        self._in_force = dict(self._files)
        self.version = 0
        """Changes with what is in force."""

    def get(self, template: str) -> Approval | None:
        """What is in force of a template; None: nothing was decided of it."""
        return self._in_force.get(template)

    @property
    def decisions(self) -> tuple[TemplateDecision, ...]:
        """Those of people, also those that wait or do not hold any more."""
        return tuple(self._decisions.values())

    @property
    def in_force(self) -> tuple[Approval, ...]:
        """All that counts now."""
        return tuple(self._in_force.values())

    @property
    def of_files(self) -> tuple[str, ...]:
        """The templates that files of the description name."""
        return tuple(self._files)

    def decide(self, decisions: Iterable[TemplateDecision], now_ns: int) -> None:
        """Let these count, each in the place of the one before of its template."""
        for one in decisions:
            if one.withdrawn:
                self._decisions.pop(one.template, None)
            else:
                self._decisions[one.template] = one
        self.refresh(now_ns)

    def refresh(self, now_ns: int) -> None:
        """Drop what has expired by this time."""
        held = {one.template: one.approval for one in self.decisions if one.holds(now_ns)}
        in_force = {**self._files, **held}
        if in_force != self._in_force:
            self._in_force = in_force
            self.version += 1
