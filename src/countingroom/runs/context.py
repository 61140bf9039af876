"""The objects that all parts of a run-control process share, in one value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from msgspec import Struct

from countingroom.bus.election import Election
from countingroom.bus.port import Bus
from countingroom.core.clock import Clock
from countingroom.core.configurations import ConfigurationRevision
from countingroom.core.errors import ConfigurationError
from countingroom.core.interlocks.specs import Permissive
from countingroom.core.partitions import Member
from countingroom.core.placement import PartitionRecord
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.agents.kinds.guardian import Guardian
from countingroom.runs.description import RunsSection
from countingroom.runs.monitor.system_states import SystemStates
from countingroom.runs.planner.fingerprint import Chosen, with_fingerprints
from countingroom.runs.planner.members import resolve_members
from countingroom.runs.planner.template import Template
from countingroom.runs.run_book_writer import RunBookWriter
from countingroom.storage.database import Database
from countingroom.storage.principals import Principals

LEASE_S = 5.0
"""An owner that hangs or is cut off is followed after this by one that stands by. The leases of one that has died are
free at once."""
ASK_AGAIN_S = 0.1
"""Between two attempts of a standby."""


class RunControlContext(Struct, frozen=True, kw_only=True):
    """Bus, clock, database and settings of one run-control process."""

    bus: Bus
    clock: Clock
    section: RunsSection
    database: Database
    run_book: RunBookWriter
    system_states: SystemStates
    principals: Principals
    guardian: Guardian
    """Ends the programs of hooks when this process is killed."""
    boot: str
    holder: str
    """Name of this process as the holder of leases, for messages."""
    permissives: Mapping[str, tuple[Permissive, ...]] = {}
    """Partition -> the effects of interlocks that forbid the start of its runs."""

    def election(
        self, lease: str, *, source: str, is_unchanged: Callable[[], Awaitable[bool]] | None = None
    ) -> Election:
        """This process as a candidate for a lease of run control."""
        return Election(
            self.bus,
            self.clock,
            lease,
            holder=self.holder,
            ttl_s=LEASE_S,
            ask_s=ASK_AGAIN_S,
            source=source,
            is_unchanged=is_unchanged,
        )

    def template(self, name: str) -> Template:
        """The template of this name; ConfigurationError when the description no longer has it."""
        known = self.section.templates
        if name not in known:
            raise ConfigurationError(
                f"there is no template {name}{did_you_mean(name, known)}",
                source="runs.templates",
                suggestion=f"add it to the description again; present templates: {', '.join(known)}",
            )
        template, section = known[name].template(name), self.section
        return msgspec.structs.replace(template, groups=section.groups, silent=section.silent)


def members_of(
    template: Template, record: PartitionRecord, chosen: Mapping[str, ConfigurationRevision], section: RunsSection
) -> tuple[Member, ...]:
    """The members of a partition with the configurations selected for them."""
    described = section.partitions.get(record.name)
    members = resolve_members(
        template,
        record.detectors,
        expendable=described.expendable if described else (),
        excluded=record.excluded,
    )
    choices = {system: Chosen(tag=one.tag, parameters=one.parameters) for system, one in chosen.items()}
    return with_fingerprints(template, members, choices, in_place=section.in_place)
