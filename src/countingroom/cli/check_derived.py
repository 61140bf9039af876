"""Checks derived points against the built devices: the points that they need, and units.

Loops, and devices that do not exist, are found when the description is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from countingroom.core.alarms.expression_errors import ExpressionError
from countingroom.core.alarms.expression_units import check_result
from countingroom.core.points import Point
from countingroom.core.yaml.located import Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.drivers.derived.description import DerivedSection, DerivedValue
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded


def derived_problems(loaded: Loaded, hosted: Mapping[str, Hosted]) -> list[Problem]:
    """Points that no device has, and units and types that do not fit together, of devices that could be built."""
    points = {f"{name}.{point.name}": point for name, device in hosted.items() for point in device.points}
    return [
        loaded.problem(("devices", device, "values", name, "value"), message)
        for device, one in hosted.items()
        if isinstance(section := one.section, DerivedSection)
        for name, value in section.values.items()
        for message in _wrong(value, points, hosted)
    ]


def _wrong(value: DerivedValue, points: Mapping[str, Point], hosted: Mapping[str, Hosted]) -> Iterator[str]:
    expression = value.expression()
    unknown = [one for one in expression.references if one not in points]
    for address in unknown:
        device, _, point = address.partition(".")
        if device in hosted:  # else it has mistakes, or does not exist, which is told
            hint = did_you_mean(point, [one.name for one in hosted[device].points])
            yield f"{device} has no point {point}{hint}"
    if unknown:
        return
    if not value.check_units:
        return
    try:
        check_result(expression, points, unit=value.unit, is_number=value.type == "float")
    except ExpressionError as error:
        hint = "" if value.type == "bool" else "; or `check_units: false`, where constants of it have units"
        yield f"{error.cause.message}; {error.cause.suggestion}{hint}"
