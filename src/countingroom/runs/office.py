"""Law: what all rooms of a run-control process share is handed to them in one value."""

from __future__ import annotations

from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError
from countingroom.core.mistakes import did_you_mean
from countingroom.runs.description import RunsSection
from countingroom.runs.people import People
from countingroom.runs.reports import Reports
from countingroom.runs.template import Template
from countingroom.storage.database import Database


class Office(Struct, frozen=True, kw_only=True):
    """The desk everybody works at."""

    bus: Bus
    clock: Clock
    section: RunsSection
    database: Database
    reports: Reports
    people: People
    boot: str
    holder: str
    """What this process is called where others ask who owns something."""

    def template(self, name: str) -> Template:
        """How a kind of partition is brought up; ConfigurationError where the description does not say it any more."""
        known = self.section.templates
        if name not in known:
            raise ConfigurationError(
                f"there is no template {name}{did_you_mean(name, known)}",
                source="runs.templates",
                suggestion=f"describe it again; there are {', '.join(known)}",
            )
        return known[name].template(name)
