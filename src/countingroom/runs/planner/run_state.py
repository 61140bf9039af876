"""The state of a run: it begins when all recorders record and ends when one stops; it is over when none records."""

from __future__ import annotations

import msgspec

from countingroom.core.partitions import Goal
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import Action
from countingroom.runs.planner import causes
from countingroom.runs.planner.events import Effect, GoalFailed, RunBegan, RunOver
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.survey import Survey

_MEANT = (RunEnd.STOPPED, RunEnd.LIMIT, RunEnd.ABORTED)
"""Ends that somebody asked for: no cause is told with them."""


def follow_recording(partition: PartitionModel, found: Survey, now_ns: int, effects: list[Effect]) -> PartitionModel:
    """The run begins when all record, and is over when nobody does."""
    attempts, goal, run, began = partition.attempts, partition.goal, partition.run, partition.began
    if not (run or began or found.recording):
        return partition
    cause, recording, ending, known = partition.cause, partition.template.recording, attempts.ending, attempts.known
    if found.recording:
        known = run
        if run and not began:
            effects.append(RunBegan(run=run))
        began = True
    elif began and ending is None:
        request = goal is not None and goal.state != recording
        ending = RunEnd.LOST if goal is None or not request else RunEnd.ABORTED if goal.at_once else RunEnd.STOPPED
    if began and not found.recording and goal and goal.state == recording:
        cause = cause or causes.recorder_left(partition.name, found.left)
        if not attempts.met:
            effects.append(GoalFailed(goal=goal, cause=cause))
        goal = _resumed(partition, goal, now_ns)
    starting = any(pending.action is Action.START for pending in attempts.pending.values())
    coming = starting or (goal is not None and goal.state == recording)
    if not found.any_records and not coming:
        if run:
            end = RunEnd.OWNER_DIED if known != run else _end(began, ending)
            effects.append(RunOver(run=run, end=end, cause=None if end in _MEANT else cause))
        run, began, ending = 0, False, None
    attempts = msgspec.structs.replace(attempts, known=known, ending=ending)
    return msgspec.structs.replace(partition, goal=goal, run=run, began=began, cause=cause, attempts=attempts)


def _end(began: bool, ending: RunEnd | None) -> RunEnd:
    if ending is RunEnd.ABORTED:
        return ending
    return ending or RunEnd.LOST if began else RunEnd.NEVER_STARTED


def _resumed(partition: PartitionModel, goal: Goal, now_ns: int) -> Goal | None:
    """After a loss of recording: ready for the next run, where the policy says so."""
    if not partition.template.recovery.resume:
        return None
    return msgspec.structs.replace(goal, state=partition.template.top, since_ns=now_ns, command_id="")
