"""The keys of a calibration and of a filter, in the section of a device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.derived.calibration import Outside, PointCalibration
from countingroom.core.derived.filters import MOST_VALUES, FilterKind, FilterSpec
from countingroom.core.yaml.section import Seconds, Section

Problem = tuple[tuple[str | int, ...], str]


class FilterSection(Section):
    """How a series of values is smoothed. A missing value empties the filter."""

    kind: Literal["median", "mean", "exponential"]
    """The median or the mean of a window of values, or exponential smoothing."""
    count: Annotated[int, Field(ge=2, le=MOST_VALUES)] | None = None
    """The window has so many values."""
    over: Annotated[Seconds, Field(gt=0)] | None = None
    """The window has the values of this time; of the exponential filter, its time constant."""

    def problems(self) -> Iterator[Problem]:
        """Not exactly one of count and over."""
        if self.kind == "exponential":
            if self.over is None or self.count is not None:
                yield (), "the exponential filter has `over`, its time constant, and no `count`"
        elif (self.count is None) == (self.over is None):
            yield (), f"the filter {self.kind} has either `count` or `over`"

    @property
    def spec(self) -> FilterSpec:
        """The filter of these keys."""
        return FilterSpec(kind=FilterKind(self.kind), count=self.count or 0, over_s=self.over or 0.0)


class CalibrationSection(Section):
    """How the value of a point is corrected. The value as it was read is the point `<name>_raw`."""

    polynomial: Annotated[list[float], Field(min_length=1, max_length=12)] | None = None
    """c0, c1, c2 …: the value is c0 + c1 x + c2 x² + … of the raw value x."""
    table: Annotated[list[tuple[float, float]], Field(min_length=2, max_length=10_000)] | None = None
    """Pairs of raw value and value, with rising raw values; linear between them."""
    range: tuple[float, float] | None = None
    """The raw values between which a polynomial holds; that of a table is from its first to its last pair."""
    outside: Literal["bad", "hold", "extend"] = "bad"
    """What holds outside the range: no value (BAD), the value at its end (UNCERTAIN), or the polynomial or the last
    segment goes on (UNCERTAIN)."""
    unit: str | None = None
    """The unit of the calibrated value, where it is another than that of the raw one. Without polynomial and table the
    raw value is converted to it."""
    precision: Annotated[int, Field(ge=0, le=15)] | None = None
    filter: FilterSection | None = None
    """Applied to the calibrated value."""

    def problems(self) -> Iterator[Problem]:
        """What cannot be computed, and keys that contradict each other."""
        if self.polynomial is not None and self.table is not None:
            yield ("table",), "a calibration has a polynomial or a table, not both"
        if self.polynomial is None and self.table is None and self.unit is None and self.filter is None:
            yield (), "it has a polynomial, a table, a unit to convert to or a filter"
        for number, (before, after) in enumerate(pairwise(self.table or []), 1):
            if after[0] <= before[0]:
                yield ("table", number), f"the raw values rise; {after[0]:g} comes after {before[0]:g}"
        if self.range is not None and self.polynomial is None:
            yield ("range",), "range is for polynomials"
        if self.range is not None and self.range[1] <= self.range[0]:
            yield ("range",), f"{self.range[1]:g} is not above {self.range[0]:g}"
        if self.polynomial is not None and self.range is None and self.outside != "bad":
            yield ("outside",), "a polynomial without range holds everywhere"

    def calibration(self, factor: float, offset: float) -> PointCalibration | None:
        """The calibration of these keys; where they have neither polynomial nor table, this conversion of the unit.
        None: the value stays as it is."""
        low, high = self.range or (None, None)
        if self.table is not None:
            return PointCalibration(table=tuple(self.table), outside=Outside(self.outside))
        if self.polynomial is not None:
            return PointCalibration(
                polynomial=tuple(self.polynomial), low=low, high=high, outside=Outside(self.outside)
            )
        return None if (factor, offset) == (1.0, 0.0) else PointCalibration(polynomial=(offset, factor))
