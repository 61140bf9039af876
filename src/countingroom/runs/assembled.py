"""Law: who is a member and what each is to have follows from what is kept and from the description."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.configurations import ConfigurationRevision
from countingroom.core.layout import PartitionRecord
from countingroom.core.partitions import Member
from countingroom.runs.description import RunsSection
from countingroom.runs.keys import Chosen, keyed
from countingroom.runs.members import muster
from countingroom.runs.template import Template


def assembled(
    template: Template, record: PartitionRecord, chosen: Mapping[str, ConfigurationRevision], section: RunsSection
) -> tuple[Member, ...]:
    """The members of a partition with what is chosen for them."""
    described = section.partitions.get(record.name)
    members = muster(
        template,
        record.detectors,
        expendable=described.expendable if described else (),
        excluded=record.excluded,
    )
    choices = {system: Chosen(tag=one.tag, parameters=one.parameters) for system, one in chosen.items()}
    return keyed(template, members, choices)
