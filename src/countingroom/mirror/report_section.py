"""The part `report` of the section `mirror`: reports over the last runs, made by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.errors import ConfigurationError
from countingroom.core.rules import cron
from countingroom.core.rules.specs import CronTrigger
from countingroom.core.yaml.section import Seconds, Section

FOLDER = Path("mirror") / "reports"
"""In the data folder."""


class ReportSection(Section):
    """Reports over the last runs in the public store, as PDF."""

    every: Annotated[Seconds, Field(ge=3600)] | None = None
    """Time from one report to the next, such as `7 d`; none is made by itself where neither this nor `at` is given."""
    at: str = ""
    """Instead: times in the five fields of cron, such as `0 7 * * 1`."""
    zone: str = "UTC"
    """The time zone of `at`, such as `Europe/Berlin`."""
    runs: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Over so many of the last runs."""
    set: Literal["production", "playback"] = "production"
    """Of this set."""
    title: Annotated[str, Field(max_length=100)] = "Experiment"
    """What stands at its head: the name of the experiment, as it is shown outside."""
    html: bool = False
    """Whether a page that stands by itself is written beside each PDF."""
    folder: Path | None = None
    """Where they are written; `mirror/reports` in the data folder where it is not given."""
    keep: Annotated[int, Field(ge=1, le=10_000)] = 60
    """So many of the newest files are kept."""

    @property
    def is_scheduled(self) -> bool:
        """Whether reports are made without a request."""
        return bool(self.every or self.at)

    def next_ns(self, after_ns: int) -> int:
        """When the report after this time is due."""
        if self.at:
            return cron.next_ns(CronTrigger(expression=self.at, zone=self.zone), after_ns)
        return after_ns + round((self.every or 0) * 1e9)

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not fit together, with its place."""
        if self.folder and not self.folder.is_absolute():
            yield ("folder",), "give an absolute path: it is used by processes in other folders"
        if self.every and self.at:
            yield ("at",), "give every or at, one of both"
        if self.at:
            try:
                cron.check(CronTrigger(expression=self.at, zone=self.zone))
            except ConfigurationError as error:
                yield ("at",), error.cause.message
