"""The section `snapshots` of the description: tolerances, the order of a restore, points that are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from countingroom.core.snapshots.rules import PointRule, SnapshotRules
from countingroom.core.yaml.section import Reference, Section

Problem = tuple[tuple[str | int, ...], str]
Margin = Annotated[float, Field(ge=0)]
PointPattern = Annotated[str, Field(min_length=3, pattern=r"^[^.\s]+\.\S+$")]
"""`<device>.<point>`, with `*` for any text."""


class ToleranceSection(Section):
    """Two numbers are equal within the larger of both."""

    absolute: Margin = 0.0
    """In the unit of the point."""
    relative: Margin = 1e-6
    """As a part of the value: 0.001 is 0.1 percent."""


class SnapshotPointSection(Section):
    """What counts for the points of a pattern."""

    absolute: Margin | None = None
    """Tolerance in the unit of the point, in place of the default."""
    relative: Margin | None = None
    """Tolerance as a part of the value, in place of the default."""
    leave_out: bool = False
    """Neither taken nor restored."""

    def problems(self) -> Iterator[Problem]:
        """A tolerance of a point that is left out, or an entry that says nothing."""
        given = self.absolute is not None or self.relative is not None
        if self.leave_out and given:
            yield ("leave_out",), "a point that is left out needs no tolerance"
        if not self.leave_out and not given:
            yield (), "give a tolerance, absolute or relative, or leave_out: true"


class SnapshotsSection(Section):
    """Snapshots of setpoints."""

    tolerance: ToleranceSection = ToleranceSection()
    """For numbers without a rule of their own. The tolerance of a point's confirmation counts where it is larger."""
    points: dict[PointPattern, SnapshotPointSection] = {}
    """Pattern of points, `caen.*.hv_setV` -> what counts for them. The first that fits counts."""
    order: list[Annotated[list[PointPattern], Field(min_length=1)]] = []
    """Stages of a restore, each a list of patterns of points. Points in no stage come before the first; within a stage
    the order of the driver counts. What goes off goes first, in the reverse order."""

    def references(self) -> Iterator[Reference]:
        """The devices that patterns name without a wildcard."""
        for pattern in self.points:
            yield from _device(("points", pattern), pattern)
        for number, stage in enumerate(self.order):
            for place, pattern in enumerate(stage):
                yield from _device(("order", str(number), str(place)), pattern)

    def rules(self, areas: Mapping[str, str]) -> SnapshotRules:
        """The rules, with the area of each device."""
        return SnapshotRules(
            absolute=self.tolerance.absolute,
            relative=self.tolerance.relative,
            points=tuple(
                PointRule(match=pattern, absolute=one.absolute, relative=one.relative, leave_out=one.leave_out)
                for pattern, one in self.points.items()
            ),
            order=tuple(map(tuple, self.order)),
            areas=dict(areas),
        )


def _device(path: tuple[str, ...], pattern: str) -> Iterator[Reference]:
    device = pattern.partition(".")[0]
    if not set(device) & set("*?["):
        yield Reference(path=path, section="devices", kind="device", name=device)
