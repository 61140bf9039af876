"""Plans the next steps of a partition from its goal and the observed states. No steps if both agree.

`plan` runs after every report and returns the steps that can begin now. The order: a recorder that should not record is
stopped first; then levels above the goal go down; then what can be changed in place is changed; then lower levels go
up before higher ones, the members of a level in parallel; recorders start and stop by stages, those of a stage in
parallel. A step that is in progress within its time is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.errors import Cause
from countingroom.core.partitions import Goal, Member, Step
from countingroom.core.systems import ACTIVE, CONFIGURING, RECORDING, UNCONFIGURED, Action
from countingroom.core.times import duration
from countingroom.runs.planner import causes
from countingroom.runs.planner.attempts import Attempts
from countingroom.runs.planner.decision import Decision
from countingroom.runs.planner.hook_points import HookPoints
from countingroom.runs.planner.in_place import differs, is_possible
from countingroom.runs.planner.survey import UNSEEN, LevelView, Seen, Survey
from countingroom.runs.planner.template import Template


def plan(
    template: Template,
    survey: Survey,
    seen: Mapping[str, Seen],
    goal: Goal | None,
    attempts: Attempts,
    *,
    began: bool = False,
) -> Decision:
    """What to begin now. Pure; the same question has the same answer.

    `began`: all recorders have recorded together, so that one that leaves ends it.
    """
    return _Planner(template, survey, seen, goal, attempts, began).decide()


class _Planner:
    def __init__(
        self,
        template: Template,
        survey: Survey,
        seen: Mapping[str, Seen],
        goal: Goal | None,
        attempts: Attempts,
        began: bool,
    ) -> None:
        self.template = template
        self.survey = survey
        self.seen = seen
        self.goal = goal
        self.attempts = attempts
        self.began = began
        self.height = template.rests.index(goal.state) if goal and goal.state in template.rests else None
        self.hook_points = HookPoints(template, attempts)
        self._included = {member.system for view in survey.levels for member in view.members}

    def decide(self) -> Decision:
        top = len(self.template.levels)
        decision = None
        if not (self.goal and self.goal.at_once):
            decision = self._stop()
        if decision is None and self.goal and self.goal.lower and self.height is not None:
            decision = self.hook_points.after("stop") or self._lower(self.height)
        if decision is None and self.goal and self.goal.in_place:
            decision = self._reconfigure()
        if (
            decision is None
            and self.height is not None
            and not (self.goal and (self.goal.stop or self.goal.reconfigure))
        ):
            decision = self._climb(min(self.height, top))
        decision = decision or Decision()
        return self.hook_points.noted(decision)

    # Recording ends first.

    def _stop(self) -> Decision | None:
        stuck: Cause | None = None
        for stage in self.template.stopping:
            steps: list[Step] = []
            waiting: list[str] = []
            for name in stage:
                reason = self._why_stop(name)
                if not reason:
                    continue
                if self._is_pending(name, Action.START):
                    waiting.append(name)
                elif self.survey.common.get(name) != RECORDING:
                    continue
                elif self._is_pending(name, Action.STOP, Action.ABORT):
                    waiting.append(name)
                elif self._has_tried(name, Action.ABORT):
                    if name in self._included or self.goal is None:
                        stuck = stuck or causes.did_not(name, Action.ABORT, self.attempts.failed.get(name))
                elif self._has_tried(name, Action.STOP):
                    steps.append(self._step(name, Action.ABORT, "it did not stop"))
                else:
                    held = self.hook_points.at("before stop") if self.height is not None else None
                    if held:
                        return held
                    steps.append(self._step(name, Action.STOP, reason))
            if steps or waiting:
                return Decision(steps=tuple(steps), waiting=tuple(waiting))
        return Decision(obstacle=stuck) if stuck else None

    def _why_stop(self, name: str) -> str:
        """Why this recorder should not record."""
        top, left = len(self.template.levels), self.survey.left
        if name not in self.survey.common:
            return ""
        if name in self.survey.stale:
            return f"run {self.survey.stale[name]} is over"
        if name not in self._included:
            return "it is excluded"
        if self.height is not None and self.height <= top:
            return f"the goal is {self.template.rests[self.height]}"
        if self.survey.ready < top:
            lost = self.survey.levels[self.survey.ready]
            return f"{', '.join(lost.missing[:5]) or lost.level.name} is not ready"
        if left and (self.began or self.height is None):
            return f"{causes.named(left)} does not record"
        return ""

    # Going down.

    def _lower(self, height: int) -> Decision | None:
        steps: list[Step] = []
        waiting: list[str] = []
        stuck: list[Cause] = []
        # An abort waits for nothing but an abort: with a stop that hangs it waited for the deadline of the stop.
        at_once = self.goal is not None and self.goal.at_once
        patience = (Action.ABORT,) if at_once else (Action.ABORT, Action.RESET, Action.STOP)
        for view in self.survey.levels[height:]:
            for member in view.members:
                name = member.system
                begun = self._is_pending(name, Action.CONFIGURE, Action.START, Action.RESET)
                up = begun or self.survey.common[name] in (ACTIVE, CONFIGURING, RECORDING)
                if self._is_pending(name, *patience):
                    waiting.append(name)
                elif up and self._has_tried(name, Action.ABORT):
                    stuck.append(causes.did_not(name, Action.ABORT, self.attempts.failed.get(name)))
                elif up:
                    steps.append(self._step(name, Action.ABORT, f"the goal is {self.template.rests[height]}"))
        if not (steps or waiting or stuck):
            return None
        obstacle = causes.level_not_ready(self.survey.levels[height], stuck) if stuck else None
        return Decision(steps=tuple(steps), waiting=tuple(waiting), obstacle=obstacle, level=height)

    # Changes in place.

    def _reconfigure(self) -> Decision | None:
        """Change all that can be changed in place, at the same time, because no level depends on it. None if no change
        is left."""
        steps: list[Step] = []
        waiting: list[str] = []
        obstacles: list[Cause] = []
        for view in self.survey.levels:
            for member in view.members:
                name, seen = member.system, self.seen.get(member.system, UNSEEN)
                if self._is_pending(name, Action.RECONFIGURE):
                    waiting.append(name)
                elif not differs(member, seen):
                    continue
                elif self._has_tried(name, Action.RECONFIGURE):
                    obstacles.append(causes.did_not(name, Action.RECONFIGURE, self.attempts.failed.get(name)))
                elif is_possible(member, seen):
                    reason = _why_reconfigure(member, seen)
                    steps.append(self._step(name, Action.RECONFIGURE, reason, view.level.name, view.level.configure_s))
                elif self.goal and self.goal.reconfigure:
                    obstacles.append(causes.not_in_place(member, seen))
        if not (steps or waiting or obstacles):
            return None
        obstacle = causes.not_reconfigured(obstacles) if obstacles else None
        # Above all levels: a failure leaves everything as it is, so no policy falls back from it.
        return Decision(steps=tuple(steps), waiting=tuple(waiting), obstacle=obstacle, level=len(self.template.rests))

    # Going up.

    def _climb(self, height: int) -> Decision:
        for index, view in enumerate(self.survey.levels[:height]):
            decision = self._raise(index, view)
            if decision is not None:
                return decision
            if held := self.hook_points.after(f"configure {view.level.name}"):
                return held
        if self.goal and self.goal.state == self.template.recording:
            return self._start()
        return Decision()

    def _raise(self, index: int, view: LevelView) -> Decision | None:
        """What this level still needs; None where it is ready and no system can do more."""
        steps: list[Step] = []
        waiting: list[str] = []
        adopt: list[Step] = []
        exclude: dict[str, Cause] = {}
        obstacles: list[Cause] = []
        for member in view.members:
            name = member.system
            if name in view.right:
                continue
            if name in self.attempts.pending:
                waiting.append(name)
                continue
            verdict = self._mend(member, view)
            if isinstance(verdict, Cause):
                obstacles.append(verdict)
                if not member.critical and self.template.recovery.exclude_expendable:
                    exclude[name] = verdict
            elif verdict.action is Action.CONFIGURE and self.survey.common[name] == CONFIGURING:
                adopt.append(verdict)
            else:
                steps.append(verdict)
        if any(step.action is Action.CONFIGURE for step in steps) and (
            held := self.hook_points.at(f"before configure {view.level.name}")
        ):
            return held
        busy = steps or waiting or adopt or exclude
        if view.ready and not busy:
            return None
        failed = obstacles and not view.ready
        return Decision(
            steps=tuple(steps),
            waiting=tuple(waiting),
            adopt=tuple(adopt),
            exclude=exclude,
            obstacle=causes.level_not_ready(view, obstacles) if failed or not busy else None,
            level=index,
        )

    def _mend(self, member: Member, view: LevelView) -> Step | Cause:
        """The step that brings a member nearer to being right, or why there is none."""
        name, seen = member.system, self.seen.get(member.system, UNSEEN)
        failure, tried = self.attempts.failed.get(name), self.attempts.tried.get((name, Action.CONFIGURE), 0)
        left = tried < self.template.recovery.attempts
        seconds = view.level.configure_s
        match seen.common:
            case "Configuring" if failure is None or (failure.action is not Action.ABORT and not failure.late):
                return self._step(name, Action.CONFIGURE, "it is being configured", view.level.name, seconds)
            case "Configuring" if failure and failure.action is not Action.ABORT:
                return self._step(name, Action.ABORT, f"it did not finish within {duration(seconds)}", view.level.name)
            case "Error" if left and self.attempts.tried.get((name, Action.RESET), 0) <= tried:
                reason = "it is in Error and will be configured again"
                return self._step(name, Action.RESET, reason, view.level.name)
            case "Unconfigured" | "Active" | "Recording" if member.wanted is None:
                return causes.no_configuration(name)
            case "Unconfigured" | "Active" if left:
                reason = _why_configure(member, seen)
                return self._step(name, Action.CONFIGURE, reason, view.level.name, seconds)
            case "Active" if self.attempts.tried.get((name, Action.ABORT), 0) < tried:
                has = (seen.state and seen.state.tag) or "no tag"
                return self._step(name, Action.ABORT, f"it reports {has}, not what was asked", view.level.name)
            case _:
                return causes.not_ready(member, seen, failure, tried)

    def _start(self) -> Decision:
        for stage in self.template.starting:
            steps: list[Step] = []
            waiting: list[str] = []
            exclude: dict[str, Cause] = {}
            for name in stage:
                if name not in self._included or self.survey.common[name] == RECORDING:
                    continue
                if name in self.attempts.pending:
                    waiting.append(name)
                elif self._has_tried(name, Action.START):
                    cause = causes.did_not(name, Action.START, self.attempts.failed.get(name))
                    if name not in self.template.waived:
                        return Decision(obstacle=cause, level=len(self.template.levels))
                    if self.template.recovery.exclude_expendable:
                        exclude[name] = cause
                elif name in self.template.waived and (self.attempts.met or self.survey.common[name] != ACTIVE):
                    continue  # it records from the beginning of a run or not at all, and the run begins without it
                else:
                    if held := self.hook_points.at("before start"):
                        return held
                    steps.append(self._step(name, Action.START, "everything is ready and recording is wanted"))
            if steps or waiting or exclude:
                return Decision(steps=tuple(steps), waiting=tuple(waiting), exclude=exclude)
        if self.survey.recording:
            return self.hook_points.after("start") or Decision()
        return Decision()

    # Words.

    def _is_pending(self, system: str, *actions: Action) -> bool:
        pending = self.attempts.pending.get(system)
        return pending is not None and pending.action in actions

    def _has_tried(self, system: str, action: Action) -> bool:
        return (system, action) in self.attempts.tried

    def _step(self, system: str, action: Action, reason: str, level: str = "", seconds: float | None = None) -> Step:
        times = {Action.START: self.template.start_s, Action.STOP: self.template.stop_s}
        deadline = times.get(action, self.template.abort_s) if seconds is None else seconds
        return Step(system=system, action=action, reason=reason, level=level, deadline_s=deadline)


def _why_reconfigure(member: Member, seen: Seen) -> str:
    wanted = member.wanted.tag if member.wanted else ""
    if seen.state and seen.state.tag != wanted:
        return f"it has {seen.state.tag or 'no tag'}; {wanted} is given to it in place"
    return f"the parameters of {wanted} have changed; they are given to it in place"


def _why_configure(member: Member, seen: Seen) -> str:
    wanted = member.wanted.tag if member.wanted else ""
    if seen.common == UNCONFIGURED or seen.state is None:
        return f"it is not configured; wanted is {wanted}"
    if seen.state.tag != wanted:
        return f"it has {seen.state.tag or 'no tag'}; wanted is {wanted}"
    return f"something below it, or {wanted} itself, has changed"
