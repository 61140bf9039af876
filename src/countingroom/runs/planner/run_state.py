"""The state of a run: it begins when all recorders record and ends when one stops; it is over when none records."""

from __future__ import annotations

import msgspec

from countingroom.core.partitions import Goal
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import Action
from countingroom.runs.planner import causes
from countingroom.runs.planner.events import Effect, GoalFailed, RunBegan
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.run_closing import close_run
from countingroom.runs.planner.survey import Survey


def follow_recording(partition: PartitionModel, found: Survey, now_ns: int, effects: list[Effect]) -> PartitionModel:
    """The partition with its run begun, ending or closed as the reports say. Effects are appended."""
    if not (partition.run or partition.began or found.recording):
        return partition
    if found.recording:
        partition = _recording(partition, effects)
    elif partition.began:
        partition = _interrupted(partition, found, now_ns, effects)
    return partition if found.any_records or _is_coming(partition) else close_run(partition, effects)


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


def _resumed(partition: PartitionModel, goal: Goal, now_ns: int) -> Goal | None:
    """After a loss of recording: ready for the next run, where the policy says so."""
    if not partition.template.recovery.resume:
        return None
    return msgspec.structs.replace(goal, state=partition.template.top, since_ns=now_ns, command_id="", joined=())
