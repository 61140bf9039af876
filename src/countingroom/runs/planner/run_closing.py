"""How an open run is closed: what its end is told to be, also that of a run that a dead owner left open."""

from __future__ import annotations

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import ERROR, NO_CONNECTION, Action
from countingroom.runs.planner import causes
from countingroom.runs.planner.events import Effect, RunOver
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.survey import UNSEEN

_MEANT = (RunEnd.STOPPED, RunEnd.LIMIT, RunEnd.ABORTED)
"""Ends that were asked for: they have a cause only where a recorder failed to stop."""


def close_run(partition: PartitionModel, effects: list[Effect]) -> PartitionModel:
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
