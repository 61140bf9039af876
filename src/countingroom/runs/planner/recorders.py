"""The recorders of a partition: the systems, groups and levels that its template names, as stages of systems. Pure.

Entries are started one after the other, the systems of an entry in parallel. A system that an entry names by itself is
in no group, so that `[all, TFC]` starts TFC last. Groups leave out the systems that take no data.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from countingroom.core.partitions import Member
from countingroom.core.systems import SystemKind
from countingroom.runs.planner.template import ALL, DETECTORS, Template

Stages = tuple[tuple[str, ...], ...]


def with_recorders(template: Template, members: Sequence[Member]) -> Template:
    """The template of a partition with these members: its recorders are systems."""
    entries, stop_order = template.described or (template.recorders, template.stop_order)
    present = {member.system for member in members}
    if template.described is None and all(name in present for name in entries):
        return template
    alone = present.intersection(entries)
    systems = {name: _systems(name, template, members, alone) for name in entries}
    started = _stages([systems[name] for name in entries])
    stopped = _stages([systems[name] for name in stop_order if name in systems]) if stop_order else started
    recorders = tuple(name for stage in started for name in stage)
    waived = {member.system for member in members if not member.critical and member.system not in alone}
    return msgspec.structs.replace(
        template,
        described=(entries, stop_order),
        recorders=recorders,
        stop_order=tuple(name for stage in stopped for name in stage),
        start_stages=started,
        stop_stages=stopped,
        waived=frozenset(waived.intersection(recorders)),
    )


def _systems(entry: str, template: Template, members: Sequence[Member], alone: frozenset[str] | set[str]) -> list[str]:
    """The systems of an entry: a system goes before a level, a level before a group of the same name."""
    if entry in alone:
        return [entry]
    levels = {level.name for level in template.levels}
    group = template.groups.get(entry, ())
    return [
        member.system
        for member in members
        if member.system not in alone
        and member.system not in template.silent
        and (
            entry == ALL
            or (entry == DETECTORS and member.kind is SystemKind.DETECTOR)
            or (member.level == entry if entry in levels else member.system in group)
        )
    ]


def _stages(entries: Sequence[Sequence[str]]) -> Stages:
    """One stage an entry, each system once: in the first entry that has it."""
    seen: set[str] = set()
    stages: list[tuple[str, ...]] = []
    for systems in entries:
        if stage := tuple(name for name in systems if name not in seen):
            stages.append(stage)
        seen.update(systems)
    return tuple(stages)
