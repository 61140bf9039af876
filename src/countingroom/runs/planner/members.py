"""The members of a partition: the global systems of its template and its detectors."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from countingroom.core.partitions import Member
from countingroom.core.systems import SystemKind
from countingroom.runs.planner.template import DETECTORS, Template


def resolve_members(
    template: Template, detectors: Iterable[str], *, expendable: Collection[str] = (), excluded: Collection[str] = ()
) -> tuple[Member, ...]:
    """Every global system of the template and these detectors, level by level; without configurations (fingerprint.py).

    `expendable`: detectors that are so in this partition, beside what the template says.
    """
    found: list[Member] = []
    detectors = tuple(detectors)
    for level in template.levels:
        for name in level.members:
            many = name == DETECTORS
            spared = {*level.expendable, *(expendable if many else ())}
            found += [
                Member(
                    system=system,
                    kind=SystemKind.DETECTOR if many else SystemKind.GLOBAL,
                    level=level.name,
                    included=system not in excluded,
                    critical=name not in spared and system not in spared,
                )
                for system in (detectors if many else (name,))
            ]
    return tuple(found)
