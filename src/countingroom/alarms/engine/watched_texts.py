"""One sentence for each condition of the section `alarms` that is true. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core import severity, units
from countingroom.core.alarms.conditions.specs import (
    DeviationSpec,
    ExpressionSpec,
    LimitSpec,
    QualitySpec,
    RateSpec,
    UpdateSpec,
)
from countingroom.core.alarms.definition import WatchedCondition
from countingroom.core.points import Limits, Point
from countingroom.core.values import Scalar

_SHOWN = 4
"""Values of an expression that are told."""


def text_of(condition: WatchedCondition, values: Mapping[str, Scalar], points: Mapping[str, Point]) -> str:
    """What is abnormal, with value, limit and unit as far as they are known. `points`: address -> the point."""
    names = [_name(address, points) for address in condition.points]
    unit = _unit(condition.points[0], points) if condition.points else ""
    match condition.spec:
        case LimitSpec() as spec:
            address = condition.points[0]
            point = points.get(address) or Point(name=address)
            return severity.why(_limited(point, spec), values.get(address), unit=units.written(point.unit))
        case RateSpec() as spec:
            per_s = spec.over_ns / 1e9
            limits = [*(f"{one.value * per_s:+g}" for one in (*spec.high, *spec.low))]
            return f"{names[0]} changes by more than {' or '.join(limits)}{unit} in {per_s:g} s"
        case DeviationSpec() as spec:
            readback, setpoint = (_shown(values.get(address)) for address in condition.points)
            most = spec.high[0].value
            return f"{names[0]} {readback}{unit} differs from {names[1]} {setpoint}{unit} by more than {most:g}{unit}"
        case QualitySpec():
            return f"{names[0]} has no usable value"
        case UpdateSpec() as spec:
            return f"{names[0]} has had no new reading for {spec.after_ns / 1e9:g} s"
        case ExpressionSpec() as spec:
            known = [f"{name} {_shown(values.get(one))}" for name, one in zip(names, condition.points, strict=True)]
            more = " …" if len(known) > _SHOWN else ""
            return f"{' '.join(spec.expression.split())} is true: {', '.join(known[:_SHOWN])}{more}"
        case _:
            return f"{condition.subject} is in {values.get(condition.subject)}"


def _limited(point: Point, spec: LimitSpec) -> Point:
    """The point with the limits of the condition."""
    high = {one.priority: one.value for one in spec.high}
    low = {one.priority: one.value for one in spec.low}
    return Point(
        name=point.name,
        label=point.label,
        unit=point.unit,
        precision=point.precision,
        limits=Limits(
            alarm_high=high.get(severity.MEDIUM),
            warning_high=high.get(severity.LOW),
            alarm_low=low.get(severity.MEDIUM),
            warning_low=low.get(severity.LOW),
        ),
    )


def _name(address: str, points: Mapping[str, Point]) -> str:
    point = points.get(address)
    return (point.label or address) if point else address


def _unit(address: str, points: Mapping[str, Point]) -> str:
    point = points.get(address)
    return f" {units.written(point.unit)}" if point and point.unit else ""


def _shown(value: Scalar) -> str:
    return "unknown" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
