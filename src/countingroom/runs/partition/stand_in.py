"""A stand-in for a template that the description no longer has, so that its partition can still be stopped.

A template can be renamed or removed while one of its partitions records. The partition is then loaded with what is
known: its detectors, the global systems of the description and of its open run, all in one level that is never lost,
and as recorders the systems that record now. Stop, abort and delete are its only commands.
"""

from __future__ import annotations

from collections.abc import Iterable

from countingroom.core.errors import Cause
from countingroom.core.placement import PartitionRecord
from countingroom.core.run_book import Run
from countingroom.core.systems import RECORDING
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.context import RunControlContext
from countingroom.runs.planner.template import DETECTORS, Level, Template

LEVEL = "Systems"
"""The only level of the stand-in."""


def why_missing(record: PartitionRecord, known: Iterable[str], now_ns: int) -> Cause:
    """Why the partition takes no other commands than stop and abort."""
    known = tuple(known)
    return Cause(
        code="no_template",
        message=f"the description has no template {record.template}{did_you_mean(record.template, known)}: "
        f"{record.name} can only be stopped, aborted and deleted",
        source=f"runs.{record.name}",
        since_ns=now_ns,
        suggestion=f"add {record.template} to the description again, or delete the partition; "
        f"present templates: {', '.join(known)}",
    )


async def stand_in(context: RunControlContext, record: PartitionRecord, run: Run | None) -> Template:
    """The stand-in for the template of this partition, from the present reports of its systems."""
    names = dict.fromkeys(context.section.global_systems)
    if run:
        names |= dict.fromkeys(one for one in run.members if one not in record.detectors)
    await context.system_states.settled((*names, *record.detectors))
    recorders = [name for name in (*names, *record.detectors) if _records(context, record, name)]
    level = Level(
        name=LEVEL,
        members=(*names, DETECTORS),
        loss=f"error_{LEVEL}",
        expendable=(*names, DETECTORS),
    )
    return Template(
        name=record.template, levels=(level,), recorders=tuple(recorders), stop_order=tuple(reversed(recorders))
    )


def _records(context: RunControlContext, record: PartitionRecord, system: str) -> bool:
    state = context.system_states.present(system, "" if system in record.detectors else record.name)
    return state is not None and state.common == RECORDING
