"""Law: what to do next follows from the goal and from what is observed; nothing to do where they agree.

`plan` is asked again after every report and gives the steps that can be begun now. Lower levels come first, the
members of a level go in parallel, recorders one after the other. Whatever records is stopped before anything else when
it should not. What is still going on in time is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.partitions import Goal, Member, Step
from countingroom.core.systems import ACTIVE, CONFIGURING, ERROR, NO_CONNECTION, RECORDING, UNCONFIGURED, Action
from countingroom.runs.derive import UNSEEN, Seen, is_right, ready_levels, view
from countingroom.runs.template import Level, Template


class Pending(Struct, frozen=True, kw_only=True):
    """An order that was sent and is not over."""

    action: Action
    deadline_ns: int


class Memory(Struct, frozen=True, kw_only=True):
    """What the owner remembers beside the reports. Losing it costs a repeated attempt, nothing more."""

    pending: Mapping[str, Pending] = {}
    """System -> the order it works on."""
    attempts: Mapping[str, int] = {}
    """System -> how often it was told to configure for this goal."""
    recording: bool = False
    """All recorders have been recording together: one that leaves ends it."""


class Decision(Struct, frozen=True, kw_only=True):
    """What to do now."""

    steps: tuple[Step, ...] = ()
    waiting: tuple[str, ...] = ()
    """Systems that are still at it."""
    exclude: tuple[str, ...] = ()
    """Expendable members that used up their attempts, where the policy says so."""
    obstacle: Cause | None = None
    """Why it does not go on by itself."""

    @property
    def settled(self) -> bool:
        """Nothing to do and nothing to wait for."""
        return not (self.steps or self.waiting or self.exclude)


def plan(
    template: Template,
    members: Sequence[Member],
    seen: Mapping[str, Seen],
    goal: Goal | None,
    memory: Memory,
    *,
    now_ns: int,
) -> Decision:
    """What to begin now. Pure; the same question has the same answer."""
    return _Planner(template, members, seen, memory, now_ns).decide(goal)


class _Planner:
    def __init__(
        self, template: Template, members: Sequence[Member], seen: Mapping[str, Seen], memory: Memory, now_ns: int
    ) -> None:
        self.template, self.memory, self.now_ns = template, memory, now_ns
        self.members = [member for member in members if member.included]
        self.seen = seen
        self.ready = ready_levels(template, members, seen)

    def decide(self, goal: Goal | None) -> Decision:
        height = self.template.height(goal.state) if goal else None
        if stopping := self._stop(height):
            return stopping
        if goal is None or height is None:
            return Decision()
        if lowering := self._lower(height):
            return lowering
        for index, level in enumerate(self.template.levels[:height]):
            decision = self._raise(level)
            if not decision.settled or decision.obstacle or index >= self.ready:
                return decision
        if goal.state == self.template.recording:
            return self._start()
        return Decision()

    def common(self, system: str) -> str:
        return self.seen.get(system, UNSEEN).common

    def is_pending(self, system: str, *actions: Action) -> bool:
        pending = self.memory.pending.get(system)
        return pending is not None and pending.action in actions and self.now_ns < pending.deadline_ns

    # Recording ends first.

    def _stop(self, height: int | None) -> Decision | None:
        recording = [name for name in self._stop_order() if self.common(name) == RECORDING]
        reason = self._why_stop(height) if recording else ""
        if not reason:
            return None
        first = recording[0]
        if self.is_pending(first, Action.STOP):
            return Decision(waiting=(first,))
        if first in self.memory.pending and self.memory.pending[first].action is Action.STOP:
            return Decision(steps=(self._abort(first, "it did not stop in time"),))
        step = Step(system=first, action=Action.STOP, reason=reason, deadline_s=self.template.stop_s)
        return Decision(steps=(step,), waiting=tuple(recording[1:]))

    def _why_stop(self, height: int | None) -> str:
        if self.ready < len(self.template.levels):
            lost = view(self.template.levels[self.ready], self.members, self.seen)
            return f"{', '.join(lost.missing) or lost.level.name} is no longer ready"
        if height is not None and height <= len(self.template.levels):
            return f"the goal is {self.template.rests[height]}"
        left = [name for name in self._recorders() if self.common(name) != RECORDING]
        if left and (self.memory.recording or height is None):
            return f"{', '.join(left)} does not record"
        return ""

    # Going down.

    def _lower(self, height: int) -> Decision | None:
        above = {level.name for level in self.template.levels[height:]}
        up = [m.system for m in self.members if m.level in above and self.common(m.system) in (ACTIVE, CONFIGURING)]
        if height == 0:
            up += [m.system for m in self.members if self.common(m.system) == ERROR]
        steps = tuple(
            self._abort(name, f"the goal is {self.template.rests[height]}")
            for name in up
            if not self.is_pending(name, Action.ABORT)
        )
        return Decision(steps=steps, waiting=tuple(n for n in up if self.is_pending(n, Action.ABORT))) if up else None

    # Going up.

    def _raise(self, level: Level) -> Decision:
        steps: list[Step] = []
        waiting: list[str] = []
        exclude: list[str] = []
        obstacles: list[Cause] = []
        for member in self.members:
            if member.level != level.name or is_right(member, self.seen.get(member.system, UNSEEN)):
                continue
            if self.is_pending(member.system, Action.CONFIGURE, Action.ABORT, Action.RESET):
                waiting.append(member.system)
                continue
            verdict = self._configure(member, level)
            if isinstance(verdict, Step):
                steps.append(verdict)
            elif verdict is None:
                waiting.append(member.system)
            elif member.critical:
                obstacles.append(verdict)
            elif self.template.recovery.exclude_expendable:
                exclude.append(member.system)
        return Decision(
            steps=tuple(steps), waiting=tuple(waiting), exclude=tuple(exclude), obstacle=_obstacle(level, obstacles)
        )

    def _configure(self, member: Member, level: Level) -> Step | Cause | None:
        """A step, or why there is none to take, or None to wait for it."""
        name, seen = member.system, self.seen.get(member.system, UNSEEN)
        used = self.memory.attempts.get(name, 0)
        left = used < self.template.recovery.attempts
        overdue = name in self.memory.pending
        match seen.common:
            case "Configuring" if not overdue and seen.state and self._in_time(seen.state.since_ns, level):
                return None
            case "Configuring":
                return self._abort(name, f"it did not finish within {level.configure_s:g} s")
            case "Error" if left:
                return Step(
                    system=name,
                    action=Action.RESET,
                    reason="it is in Error and will be configured again",
                    level=level.name,
                    deadline_s=self.template.abort_s,
                )
            case "Unconfigured" | "Active" if member.wanted is None:
                return Cause(
                    code="no_configuration",
                    message=f"no configuration is selected for {name}",
                    source=f"runs.{name}",
                    suggestion="select a configuration tag that covers every system of the partition",
                )
            case "Unconfigured" | "Active" if left:
                return Step(
                    system=name,
                    action=Action.CONFIGURE,
                    reason=self._why_configure(member, seen),
                    level=level.name,
                    deadline_s=level.configure_s,
                )
            case "Active" if used and seen.state and not overdue:
                return self._abort(name, f"it reports {seen.state.tag or 'no tag'}, not what was asked")
            case _:
                return _failed(member, seen, used)

    def _in_time(self, since_ns: int, level: Level) -> bool:
        return self.now_ns < since_ns + level.configure_s * 1e9

    @staticmethod
    def _why_configure(member: Member, seen: Seen) -> str:
        wanted = member.wanted.tag if member.wanted else ""
        if seen.common == UNCONFIGURED or seen.state is None:
            return f"it is not configured; wanted is {wanted}"
        if seen.state.tag != wanted:
            return f"it has {seen.state.tag or 'no tag'}; wanted is {wanted}"
        return f"something below it, or {wanted} itself, has changed"

    def _start(self) -> Decision:
        for name in self._recorders():
            if self.common(name) == RECORDING:
                continue
            if self.is_pending(name, Action.START):
                return Decision(waiting=(name,))
            if name in self.memory.pending:
                return Decision(
                    obstacle=Cause(
                        code="start_failed",
                        message=f"{name} did not begin to record within {self.template.start_s:g} s",
                        source=f"runs.{name}",
                        suggestion=f"look at {name}, then start again",
                    )
                )
            reason = "everything is ready and recording is wanted"
            step = Step(system=name, action=Action.START, reason=reason, deadline_s=self.template.start_s)
            return Decision(steps=(step,))
        return Decision()

    def _abort(self, system: str, reason: str) -> Step:
        return Step(system=system, action=Action.ABORT, reason=reason, deadline_s=self.template.abort_s)

    def _recorders(self) -> Iterator[str]:
        included = {member.system for member in self.members}
        return (name for name in self.template.recorders if name in included)

    def _stop_order(self) -> Iterator[str]:
        order = self.template.stop_order or self.template.recorders
        included = {member.system for member in self.members}
        return (name for name in order if name in included)


def _failed(member: Member, seen: Seen, used: int) -> Cause:
    name = member.system
    if seen.common == NO_CONNECTION:
        under = (seen.cause,) if seen.cause else ()
        message = f"{name} is not connected"
        suggestion = f"start the agent of {name}" if member.critical else f"start the agent of {name}, or exclude it"
    else:
        own = seen.state.cause if seen.state else None
        under = (own,) if own else ()
        times = "once" if used == 1 else f"{used} times"
        message = f"{name} is {seen.common} after it was configured {times}"
        suggestion = f"look at {name}, then configure again"
    return Cause(code="not_ready", message=message, source=f"runs.{name}", suggestion=suggestion, causes=under)


def _obstacle(level: Level, causes: list[Cause]) -> Cause | None:
    if not causes:
        return None
    if len(causes) == 1:
        return causes[0]
    return Cause(
        code="level_not_ready",
        message=f"{len(causes)} systems keep {level.name} from being ready",
        source=f"runs.{level.name}",
        suggestion="mend or exclude them, then configure again",
        causes=tuple(causes),
    )
