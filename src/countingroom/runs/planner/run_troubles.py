"""What degrades the open run of a partition now: members that are excluded, lost or in Error. Pure."""

from __future__ import annotations

from collections.abc import Collection

from countingroom.core.run_book import RunFlagKind
from countingroom.core.run_flags import RunTrouble, member_trouble
from countingroom.core.systems import ACTIVE
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.survey import UNSEEN


def is_watched(partition: PartitionModel) -> bool:
    """Whether what is wrong now degrades the run: it records, and is not being ended."""
    goal, template = partition.goal, partition.template
    is_ending = partition.attempts.ending is not None or (goal is not None and goal.state != template.recording)
    return bool(partition.run) and partition.began and not is_ending and not partition.look_until_ns


def troubles(partition: PartitionModel, took_part: Collection[str]) -> dict[RunTrouble, str]:
    """The troubles of the systems that take part in the run. One that was included later counts as soon as it has been
    ready once."""
    found: dict[RunTrouble, str] = {}
    for member in partition.members:
        name = member.system
        if name not in took_part or name in partition.joining:
            continue
        seen = partition.seen.get(name, UNSEEN)
        cause = (seen.state.cause if seen.state else None) if seen.connected else seen.cause
        failure = partition.attempts.failed.get(name)
        if member.included and name in partition.template.waived and seen.common == ACTIVE:
            why = f": {failure.cause.message}" if failure else ""
            found[RunTrouble(flag=RunFlagKind.DEGRADED, subject=name)] = f"{name} does not record{why}"
            continue
        what = member_trouble(name, seen.common, included=member.included, cause=cause.message if cause else "")
        if what:
            found[RunTrouble(flag=RunFlagKind.DEGRADED, subject=name)] = what
    return found
