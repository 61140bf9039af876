"""Applies facts to the model of a partition. An order ends when a later report says so."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from countingroom.core.partitions import Goal, Member
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import ACTIVE, CONFIGURING, ERROR, RECORDING, UNCONFIGURED, Action, SystemState
from countingroom.runs.planner import causes
from countingroom.runs.planner.attempts import Failure, HookRun, Pending
from countingroom.runs.planner.events import (
    Effect,
    Fact,
    GoalFailed,
    GoalSet,
    HookOver,
    LinkChanged,
    LockSet,
    MembersSet,
    OrderRefused,
    Reported,
    RunOver,
    StartForbidden,
)
from countingroom.runs.planner.in_place import is_enough
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.survey import UNSEEN, Seen


class Applied(Struct, frozen=True, kw_only=True):
    """What came of a batch of facts."""

    partition: PartitionModel
    effects: tuple[Effect, ...]
    fallen: frozenset[str]
    """Systems that were Active or Recording and left it without a command."""


def apply(partition: PartitionModel, facts: Sequence[Fact]) -> Applied:
    """The partition with these facts known."""
    return _Application(partition).apply(facts)


_UP = (ACTIVE, RECORDING)


class _Application:
    """One batch: what changes is copied once, not once a fact."""

    def __init__(self, partition: PartitionModel) -> None:
        self.partition = partition
        self.seen = dict(partition.seen)
        self.attempts = partition.attempts
        self.pending = dict(self.attempts.pending)
        self.failed = dict(self.attempts.failed)
        self.tried = dict(self.attempts.tried)
        self.hooks = dict(self.attempts.hooks)
        self.effects: list[Effect] = []
        self.fallen: set[str] = set()

    def apply(self, facts: Sequence[Fact]) -> Applied:
        for fact in facts:
            match fact:
                case Reported(state=state):
                    self._reported(state)
                case LinkChanged():
                    self._link(fact)
                case OrderRefused():
                    self._refused(fact)
                case GoalSet(goal=goal):
                    self._goal(goal, fact)
                case MembersSet(members=members, tag=tag):
                    self._members(members, tag)
                case LockSet(locked=locked):
                    self._change(locked=locked)
                case StartForbidden(cause=cause):
                    self._change(forbidden=cause)
                case HookOver(hook=hook, cause=cause):
                    if (run := self.hooks.get(hook)) and not run.over:
                        self.hooks[hook] = HookRun(deadline_ns=run.deadline_ns, over=True, cause=cause)
        attempts = msgspec.structs.replace(
            self.attempts, pending=self.pending, failed=self.failed, tried=self.tried, hooks=self.hooks
        )
        partition = msgspec.structs.replace(self.partition, seen=self.seen, attempts=attempts)
        return Applied(partition=partition, effects=tuple(self.effects), fallen=frozenset(self.fallen))

    def _change(self, **fields: object) -> None:
        self.partition = msgspec.structs.replace(self.partition, **fields)

    def _reported(self, state: SystemState) -> None:
        name = state.system
        before = self.seen.get(name, UNSEEN)
        if before.state and before.state.boot == state.boot and before.state.sequence >= state.sequence:
            return
        self.seen[name] = Seen(state=state, connected=before.connected, cause=before.cause)
        if before.common in _UP and state.common in (UNCONFIGURED, ERROR) and name not in self.pending:
            self.fallen.add(name)
        pending = self.pending.get(name)
        failure = _failure(pending, before.state, state) if pending else None
        if failure:
            self.failed[name] = failure
        if pending and (failure or _is_over(pending, before.state, state)):
            del self.pending[name]
            if self.partition.goal is None:
                self.tried.pop((name, pending.action), None)
        if state.common in _UP and name not in self.pending and not failure and not _is_kept(self.failed.get(name)):
            self.failed.pop(name, None)

    def _link(self, fact: LinkChanged) -> None:
        before = self.seen.get(fact.system, UNSEEN)
        self.seen[fact.system] = Seen(state=before.state, connected=fact.connected, cause=fact.cause)
        if not fact.connected:
            self.pending.pop(fact.system, None)
            for action in (Action.STOP, Action.ABORT):  # a system that connects again has no order yet
                self.tried.pop((fact.system, action), None)
            if before.common in _UP:
                self.fallen.add(fact.system)

    def _refused(self, fact: OrderRefused) -> None:
        pending = self.pending.get(fact.system)
        if pending and pending.action is fact.action and fact.id in ("", pending.id):
            del self.pending[fact.system]
            self.failed[fact.system] = Failure(action=fact.action, cause=fact.cause)

    def _goal(self, goal: Goal | None, fact: GoalSet) -> None:
        stop = self.partition.goal
        if not self._supersedes(goal, fact.run):
            return
        if goal and stop and self._goes_on_with(stop, goal):
            goal = msgspec.structs.replace(goal, joined=(*goal.joined, *filter(None, (stop.command_id, *stop.joined))))
        template, run, ending = self.partition.template, self.partition.run, self.attempts.ending
        if goal and goal.state in template.rests:
            present = min(self.partition.state, self.partition.survey().configured, key=template.reached)
            lower = goal.state == template.idle or template.reached(goal.state) < template.reached(present)
            lower = lower and not goal.reconfigure
            goal = msgspec.structs.replace(goal, lower=lower, in_place=self._is_in_place(goal, lower))
        # A run that has lost a recorder ends as LOST, whatever is asked for afterwards. Any other ends for the reason
        # of the last goal that does not record, and goes on when recording is asked for again.
        if goal and ending is not RunEnd.LOST:
            ends = run and goal.state != template.recording
            ending = (RunEnd.ABORTED if goal.at_once else fact.end) if ends else None
        if fact.run and run and fact.run != run:
            self.effects.append(RunOver(run=fact.run, end=RunEnd.NEVER_STARTED, cause=causes.run_open(run)))
        elif fact.run:
            run = fact.run
            self.attempts = msgspec.structs.replace(self.attempts, known=run)
        self.tried = {}
        self.failed = {}
        self.hooks = {}
        self.attempts = msgspec.structs.replace(self.attempts, hook_points=frozenset[str](), met=False, ending=ending)
        self._change(goal=goal, cause=None, run=run)

    def _is_in_place(self, goal: Goal, lower: bool) -> bool:
        """Whether the way to the goal begins with changes in place."""
        if lower or goal.stop or goal.at_once:
            return False
        return goal.reconfigure or is_enough(self.partition.members, self.seen)

    def _supersedes(self, goal: Goal | None, run: int) -> bool:
        """Whether the goal takes the place of the present one, which then has failed unless it is met."""
        before = self.partition.goal
        if before and goal and goal.command_id in (before.command_id, *before.joined) and goal.command_id:
            return False  # the same command came twice
        if before is None or self.attempts.met:
            return True
        if goal and not run and before.is_same(goal):
            # A user who presses Stop again gets the end of the stop under way. When the second one took the place of
            # the first, the first was told as failed and the hooks before the stop ran again.
            if goal.command_id:
                self._change(goal=msgspec.structs.replace(before, joined=(*before.joined, goal.command_id)))
            return False
        if goal and before.at_once and goal.stop:
            cause = causes.superseded(self.partition.name, goal.state, before.state)
            failed = GoalFailed(goal=goal, cause=cause)  # what is on its way down at once is not halted by a stop
            if goal.command_id and failed not in self.effects:
                self.effects.append(failed)
            return False
        if goal and self._goes_on_with(before, goal):
            return True
        cause = causes.superseded(self.partition.name, before.state, goal.state if goal else "nothing")
        self.effects.append(GoalFailed(goal=before, cause=cause))
        return True

    def _goes_on_with(self, before: Goal, goal: Goal) -> bool:
        """Whether the new goal stops the run as the stop under way would: the stop has then not failed, but ends with
        the new goal. An abort stops nothing in order."""
        is_stop = before.stop and not self.attempts.met
        return is_stop and not goal.at_once and goal.state != self.partition.template.recording

    def _members(self, members: tuple[Member, ...], tag: str) -> None:
        old = {member.system: member for member in self.partition.members}
        known = {member.system for member in members}
        included = {member.system for member in members if member.included}
        joining = self.partition.joining & included
        if self.partition.began:
            joining |= {name for name in included if name not in old or not old[name].included}
        if self.attempts.met and any(m.system in old and old[m.system].wanted != m.wanted for m in members):
            self._change(goal=None)  # what is kept up is what was asked for, not what was selected since
        for table in (self.seen, self.pending, self.failed):
            for name in [name for name in table if name not in known]:
                del table[name]
        template = with_recorders(self.partition.template, members)
        self._change(members=members, tag=tag, joining=joining, template=template)


def _is_kept(failure: Failure | None) -> bool:
    """Whether a failure is told although the system is Active again: why a recorder did not start or stop, or why its
    parameters were not changed in place."""
    return failure is not None and failure.action in (Action.START, Action.STOP, Action.RECONFIGURE)


def _failure(pending: Pending, before: SystemState | None, now: SystemState) -> Failure | None:
    """The failure of a start or a stop that this report tells: a program that ended with status 7. The system is then
    in Error; where its chart has no Error, it stays in its state with a new cause. So does one that was to be
    reconfigured in place: its agent drops an earlier cause when it begins."""
    if pending.action is Action.RECONFIGURE and now.cause is not None and now.order == pending.id:
        return Failure(action=pending.action, cause=now.cause)
    if pending.action not in (Action.START, Action.STOP) or now.cause is None or now.order != pending.id:
        return None
    if before is not None and (before.cause, before.since_ns) == (now.cause, now.since_ns):
        return None
    is_done = now.common == (RECORDING if pending.action is Action.START else ACTIVE)
    return None if is_done else Failure(action=pending.action, cause=now.cause)


def _is_over(pending: Pending, before: SystemState | None, now: SystemState) -> bool:
    """Whether this report ends the order; that of an agent begun anew does."""
    if before is not None and before.boot != now.boot:
        return True
    match pending.action:
        case Action.START:
            return now.common != ACTIVE
        case Action.STOP:
            return now.common != RECORDING
        case Action.ABORT:
            return now.common in (UNCONFIGURED, ERROR)
        case Action.RESET:
            return now.common != ERROR
        case Action.RECONFIGURE:
            return now.common not in _UP or (now.order == pending.id and now.key == pending.key)
        case Action.CONFIGURE:
            ours = now.order == pending.id if now.order and pending.id else _has_moved(before, now)
            return ours and now.common != CONFIGURING


def _has_moved(before: SystemState | None, now: SystemState) -> bool:
    return before is None or (before.state, before.since_ns, before.key) != (now.state, now.since_ns, now.key)
