"""Conditions that the description writes itself: of custom alarms, and of suppression by design."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from countingroom.alarms.sections.inherited import Problem
from countingroom.core.alarms.expression_errors import ExpressionError
from countingroom.core.alarms.expressions import ADDRESS, compile_expression
from countingroom.core.yaml.section import Seconds, Section

PointName = Annotated[str, Field(pattern=f"^{ADDRESS.pattern}$")]
"""`<device>.<point>`: `chiller.internal_temp`, `caen.0.lv_vMon`."""
Subject = Annotated[str, Field(pattern=r"^(device|channel|system|partition|role)\.[A-Za-z0-9_\-.]+$")]
"""`device.caen`, `channel.caen.0`, `system.sts`, `partition.mCBM`, `role.history`."""
Positive = Annotated[Seconds, Field(gt=0)]
_ORDER = ("alarm_low", "warning_low", "warning_high", "alarm_high")


class LimitCondition(Section):
    """A value beyond a limit. A warning has priority 3 and an alarm 2 where the alarm names none."""

    point: PointName
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None

    def problems(self) -> Iterator[Problem]:
        """No limit at all, or limits in the wrong order."""
        given = [(key, limit) for key in _ORDER if (limit := getattr(self, key)) is not None]
        if not given:
            yield (), f"give at least one of {', '.join(_ORDER)}"
        for (lower, low), (upper, high) in pairwise(given):
            if high < low:
                yield (upper,), f"{upper} {high:g} is below {lower} {low:g}"


class RateCondition(Section):
    """A value that changes too fast."""

    point: PointName
    per: Annotated[Seconds, Field(ge=0.1)] = 60.0
    """The change over so long is looked at."""
    rise: Annotated[float, Field(gt=0)] | None = None
    """True where the value rises by more than this, in the unit of the point."""
    fall: Annotated[float, Field(gt=0)] | None = None
    """True where it falls by more than this."""

    def problems(self) -> Iterator[Problem]:
        """No limit at all."""
        if self.rise is None and self.fall is None:
            yield (), "give rise, fall or both"


class DeviationCondition(Section):
    """A readback that differs from its setpoint."""

    point: PointName
    """The readback."""
    setpoint: PointName
    more_than: Annotated[float, Field(ge=0)]
    """True where they differ by more than this, in the unit of the point."""


class StateCondition(Section):
    """The state of a device, channel, system, partition or role."""

    of: Subject
    is_in: list[str] = Field(default=[], alias="in")
    """True in one of these states; a common state such as `error` counts too."""
    not_in: list[str] = []
    """True in no one of these states."""

    def problems(self) -> Iterator[Problem]:
        """None or both of the lists."""
        if bool(self.is_in) == bool(self.not_in):
            yield (), "give either in or not_in, with at least one state"


class QualityCondition(Section):
    """A point without a usable value."""

    point: PointName
    qualities: list[Literal["stale", "bad", "missing"]] = ["stale", "bad", "missing"]
    """Those that count."""


class SilenceCondition(Section):
    """A point that gets no new value, also where its device says that all is well."""

    point: PointName
    longer_than: Positive


class ExpressionCondition(Section):
    """An expression over points: `point("caen.0.lv_vMon") * i > 25 and not cold`. True, false, or unknown where a
    value is missing."""

    text: Annotated[str, Field(min_length=1, max_length=500)]
    names: dict[str, PointName] = {}
    """Short name in the text -> point."""

    def problems(self) -> Iterator[Problem]:
        """What is wrong in the text, with its column."""
        try:
            compile_expression(self.text, self.names)
        except ExpressionError as error:
            yield ("text",), f"{error.cause.message}; {error.cause.suggestion}"

    @property
    def points(self) -> tuple[str, ...]:
        """The points that it needs; empty: it cannot be read."""
        try:
            return compile_expression(self.text, self.names).references
        except ExpressionError:
            return ()


KINDS = ("limit", "rate", "deviation", "state", "quality", "silence", "expression")


class ConditionKeys(Section):
    """One condition: exactly one of these keys."""

    limit: LimitCondition | None = None
    rate: RateCondition | None = None
    deviation: DeviationCondition | None = None
    state: StateCondition | None = None
    quality: QualityCondition | None = None
    silence: SilenceCondition | None = None
    expression: ExpressionCondition | None = None

    @property
    def kind(self) -> str:
        """The key that is given; empty: none."""
        return next((key for key in KINDS if getattr(self, key) is not None), "")

    @property
    def points(self) -> list[tuple[tuple[str | int, ...], str]]:
        """(where a point is named, the point)."""
        part = getattr(self, self.kind) if self.kind else None
        if isinstance(part, ExpressionCondition):
            of_name = {point: name for name, point in part.names.items()}
            return [
                (("expression", "names", of_name[point]) if point in of_name else ("expression", "text"), point)
                for point in part.points
            ]
        return [((self.kind, key), getattr(part, key)) for key in ("point", "setpoint") if hasattr(part, key)]

    def problems(self) -> Iterator[Problem]:
        """None, or more than one condition."""
        given = [key for key in KINDS if getattr(self, key) is not None]
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none"
            yield (), f"give exactly one condition of {', '.join(KINDS)}; {found}"
