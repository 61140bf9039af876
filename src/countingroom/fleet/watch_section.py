"""The section `fleet.watch`: how nodes and services are measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from countingroom.core.yaml.section import Seconds, Section


class DiskLimitsSection(Section):
    """Percent of the disk of a node in use."""

    warning: Annotated[float, Field(gt=0, le=100)] = 85.0
    alarm: Annotated[float, Field(gt=0, le=100)] = 95.0


class ClockLimitsSection(Section):
    """Between the clock of a node and that of the computer of the keeper, in both directions."""

    warning: Annotated[Seconds, Field(gt=0)] = 0.5
    alarm: Annotated[Seconds, Field(gt=0)] = 2.0


class WatchSection(Section):
    """What nodes and services use becomes points of the devices `node-<node>`."""

    every: Annotated[Seconds, Field(ge=5, le=60)] = 30.0
    """Time between two measurements of a node."""
    disk: DiskLimitsSection = DiskLimitsSection()
    clock_offset: ClockLimitsSection = ClockLimitsSection()

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Limits that do not fit together."""
        for name in ("disk", "clock_offset"):
            limits = getattr(self, name)
            if limits.warning > limits.alarm:
                yield (name, "warning"), f"a warning above {limits.warning:g} never comes before the alarm"
