"""The model of a partition: everything its owner knows, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.interlocks.permissive import UNKNOWN
from countingroom.core.partitions import Goal, Member, Step
from countingroom.runs.planner.attempts import Attempts
from countingroom.runs.planner.survey import Seen, Survey, survey
from countingroom.runs.planner.template import Template


class PartitionModel(Struct, frozen=True, kw_only=True):
    """A partition as its owner knows it.

    A new owner of an old partition gives back what is kept outside: template, members, goal, state, tag, run, began,
    joining and locked. `attempts` and `seen` begin empty.
    """

    name: str
    template: Template
    members: tuple[Member, ...] = ()
    seen: Mapping[str, Seen] = {}
    goal: Goal | None = None
    """Where it is on the way to; None: it stays where it is and follows."""
    attempts: Attempts = Attempts()
    state: str
    since_ns: int
    tag: str = ""
    run: int = 0
    """The run that is open; 0: none."""
    began: bool = False
    """All recorders have recorded together since then."""
    joining: frozenset[str] = frozenset()
    """Included while recording and not ready yet: no loss."""
    locked: bool = False
    forbidden: Cause | None = None
    """Why an interlock forbids the start of a run."""
    unexplained: Cause | None = None
    """Why only stop and abort are possible: the description no longer explains the partition."""
    steps: tuple[Step, ...] = ()
    """Ordered and not over."""
    cause: Cause | None = None
    """Why it does not get on."""
    look_until_ns: int = 0
    """A new owner looks round first: until every member included was heard of, or this time, it takes facts in only.
    0: it has looked."""

    def is_looking(self, now_ns: int) -> bool:
        """Whether it is too early to conclude anything."""
        if now_ns >= self.look_until_ns:
            return False
        starts = self.goal is not None and self.goal.state == self.template.recording and not self.began
        if starts and self.forbidden is not None and self.forbidden.code == UNKNOWN:
            return True  # a new owner has not heard the alarm engine yet
        return any(m.included and m.system not in self.seen for m in self.members)

    def survey(self) -> Survey:
        """What the reports prove."""
        rests = self.goal is None or self.goal.stop or self.goal.in_place or self.attempts.met
        rests_in = self.state if rests else ""
        return survey(self.template, self.members, self.seen, run=self.run, joining=self.joining, rests_in=rests_in)
