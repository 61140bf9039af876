"""The state of a run: it begins when all recorders record and ends when one stops; it is over when none records."""

from __future__ import annotations

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.partitions import Goal
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import ERROR, NO_CONNECTION, Action
from countingroom.runs.planner import causes
from countingroom.runs.planner.events import Effect, GoalFailed, RunBegan, RunOver
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.survey import UNSEEN, Survey

_MEANT = (RunEnd.STOPPED, RunEnd.LIMIT, RunEnd.ABORTED)
"""Ends that were asked for: they have a cause only where a recorder failed to stop."""


def follow_recording(partition: PartitionModel, found: Survey, now_ns: int, effects: list[Effect]) -> PartitionModel:
    """The partition with its run begun, ending or closed as the reports say. Effects are appended."""
    if not (partition.run or partition.began or found.recording):
        return partition
    if found.recording:
        partition = _recording(partition, effects)
    elif partition.began:
        partition = _interrupted(partition, found, now_ns, effects)
    return partition if found.any_records or _is_coming(partition) else _closed(partition, effects)


def _recording(partition: PartitionModel, effects: list[Effect]) -> PartitionModel:
    """All recorders record: the run has begun, and this owner knows it."""
    if partition.run and not partition.began:
        effects.append(RunBegan(run=partition.run))
    attempts = msgspec.structs.replace(partition.attempts, known=partition.run)
    return msgspec.structs.replace(partition, began=True, attempts=attempts)


def _interrupted(partition: PartitionModel, found: Survey, now_ns: int, effects: list[Effect]) -> PartitionModel:
    """A recorder has stopped. The first reason for the end stays; a goal to record is missed."""
    attempts, goal, cause = partition.attempts, partition.goal, partition.cause
    is_wanted = goal is not None and goal.state == partition.template.recording
    ending = attempts.ending
    if ending is None:
        asked = RunEnd.ABORTED if goal and goal.at_once else RunEnd.STOPPED
        ending = RunEnd.LOST if goal is None or is_wanted else asked
    if goal and is_wanted:
        cause = cause or causes.recorder_left(partition.name, found.left)
        if not attempts.met:
            effects.append(GoalFailed(goal=goal, cause=cause))
        goal = _resumed(partition, goal, now_ns)
    attempts = msgspec.structs.replace(attempts, ending=ending)
    return msgspec.structs.replace(partition, goal=goal, cause=cause, attempts=attempts)


def _is_coming(partition: PartitionModel) -> bool:
    """Whether recorders are started, or will be."""
    starting = any(pending.action is Action.START for pending in partition.attempts.pending.values())
    return starting or (partition.goal is not None and partition.goal.state == partition.template.recording)


def _closed(partition: PartitionModel, effects: list[Effect]) -> PartitionModel:
    """No recorder records, and none will: an open run is over."""
    attempts = partition.attempts
    if partition.run:
        # A run that this owner has neither started nor seen in all its recorders was left open by an owner that died.
        is_known = attempts.known == partition.run
        end = _end(partition.began, attempts.ending) if is_known else RunEnd.OWNER_DIED
        cause = why_not_stopped(partition) if end in _MEANT else partition.cause
        effects.append(RunOver(run=partition.run, end=end, cause=cause, missing=_missing(partition)))
    attempts = msgspec.structs.replace(attempts, ending=None)
    return msgspec.structs.replace(partition, run=0, began=False, attempts=attempts)


def why_not_stopped(partition: PartitionModel) -> Cause | None:
    """Why a recorder that no longer records failed to stop, so that its last data may be lost; None: none failed."""
    failed = partition.attempts.failed
    names = (name for name in partition.template.recorders if name in failed and failed[name].action is Action.STOP)
    return next((causes.did_not(name, Action.STOP, failed[name]) for name in names), None)


def _missing(partition: PartitionModel) -> dict[str, str]:
    """Recorder -> why its data or its counters may not be complete, at the end of a run that had begun."""
    included = {member.system for member in partition.members if member.included}
    found: dict[str, str] = {}
    for name in partition.template.recorders if partition.began else ():
        failure, common = partition.attempts.failed.get(name), partition.seen.get(name, UNSEEN).common
        if failure and failure.action is Action.STOP:
            found[name] = causes.did_not(name, Action.STOP, failure).message
        elif name in included and common in (NO_CONNECTION, ERROR):
            found[name] = f"{name} is in {common} at the end of the run"
    return found


def _end(began: bool, ending: RunEnd | None) -> RunEnd:
    if ending is RunEnd.ABORTED:
        return ending
    return ending or RunEnd.LOST if began else RunEnd.NEVER_STARTED


def _resumed(partition: PartitionModel, goal: Goal, now_ns: int) -> Goal | None:
    """After a loss of recording: ready for the next run, where the policy says so."""
    if not partition.template.recovery.resume:
        return None
    return msgspec.structs.replace(goal, state=partition.template.top, since_ns=now_ns, command_id="", joined=())
