"""The part `report` of the section `mirror`: reports over the last runs, made by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.rules.repeated_times import RepeatedTimes
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
        return self._times.is_given

    def next_ns(self, after_ns: int) -> int:
        """When the report after this time is due."""
        return self._times.next_ns(after_ns)

    @property
    def _times(self) -> RepeatedTimes:
        return RepeatedTimes(every_s=self.every or 0.0, at=self.at, zone=self.zone)

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not fit together, with its place."""
        if self.folder and not self.folder.is_absolute():
            yield ("folder",), "give an absolute path: it is used by processes in other folders"
        if self.every and self.at:
            yield ("at",), "give every or at, one of both"
        if wrong := self._times.problem():
            yield ("at",), wrong
