"""Recorders of an open run that its template no longer has, so that stop and abort still reach them.

A recorder can be removed from a template while a partition records with it. The template that an owner loads then gets
it again, as an expendable recorder, until the run is over.
"""

from __future__ import annotations

import msgspec

from countingroom.core.placement import PartitionRecord
from countingroom.core.run_book import Run
from countingroom.core.systems import RECORDING
from countingroom.runs.context import RunControlContext, members_of
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.template import Template


async def find_former_recorders(
    context: RunControlContext, template: Template, record: PartitionRecord, run: Run | None
) -> tuple[str, ...]:
    """The global systems that record in this partition and are no recorders of the template."""
    recorders = with_recorders(template, members_of(template, record, {}, context.section)).recorders
    members = run.members if run else ()
    names = dict.fromkeys(name for name in members if name not in record.detectors and name not in recorders)
    if names:
        await context.system_states.settled(names)
    names |= dict.fromkeys(name for name in context.section.global_systems if name not in recorders)
    return tuple(name for name in names if _records(context, name, record.name))


def with_former(template: Template, former: tuple[str, ...]) -> Template:
    """The template with these recorders, which are stopped first; they never end a run or lower its level."""
    *lower, top = template.levels
    present = {name for level in template.levels for name in level.members}
    added = tuple(name for name in former if name not in present)
    top = msgspec.structs.replace(top, members=(*top.members, *added), expendable=(*top.expendable, *added))
    order = (*former, *(template.stop_order or template.recorders))
    recorders = (*template.recorders, *former)
    return msgspec.structs.replace(template, levels=(*lower, top), recorders=recorders, stop_order=order)


def why_former(record: PartitionRecord, former: tuple[str, ...]) -> str:
    """A sentence for an event."""
    names = ", ".join(former)
    return (
        f"{names} records in {record.name}, but is no recorder of the template {record.template} now: "
        "stop and abort reach it until the run is over"
    )


def _records(context: RunControlContext, system: str, partition: str) -> bool:
    state = context.system_states.present(system, partition)
    return state is not None and state.common == RECORDING
