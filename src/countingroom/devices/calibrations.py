"""The calibrations of one device: its points with those of raw values, and its samples with them.

The device host applies them to each sample of the driver, before anything else sees it. A calibrated point keeps its
name; the value as the driver gave it is the point `<name>_raw`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core import units
from countingroom.core.derived.calibration import PointCalibration
from countingroom.core.derived.filters import Filter
from countingroom.core.errors import Cause, ConfigurationError
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality
from countingroom.devices.calibration_section import CalibrationSection
from countingroom.devices.port import Sample

RAW = "_raw"
"""At the end of the name of the point with the raw value."""


class _One(Struct, frozen=True, kw_only=True):
    """The calibration of one point."""

    section: CalibrationSection
    calibration: PointCalibration | None
    filter: Filter | None
    factor: float = 1.0
    offset: float = 0.0
    """Of a conversion of the unit."""
    inputs: tuple[str, ...]
    formula: str


class Calibrations:
    """Those of one device. They remember the windows of filters."""

    def __init__(
        self, sections: Mapping[str, CalibrationSection], points: Sequence[Point], *, device: str = ""
    ) -> None:
        """`points`: those of the driver. ConfigurationError, with a cause for each, for calibrations that cannot be
        applied."""
        named = {point.name: point for point in points}
        self._by_name: dict[str, _One] = {}
        wrong: list[Cause] = []
        for name, section in sections.items():
            source = f"devices.{device}.calibration.{name}"
            problem = _problem(name, named, section)
            factor, offset = 1.0, 0.0
            if not problem and section.polynomial is None and section.table is None and section.unit is not None:
                try:
                    factor, offset = units.conversion(named[name].unit, section.unit)
                except ValueError as error:
                    problem = str(error), "give a unit of the same kind, or a polynomial or table"
            if problem:
                wrong.append(Cause(code="configuration", message=problem[0], source=source, suggestion=problem[1]))
                continue
            self._by_name[name] = _One(
                section=section,
                calibration=section.calibration(factor, offset),
                filter=Filter(section.filter.spec) if section.filter else None,
                factor=factor,
                offset=offset,
                inputs=(f"{device}.{name}{RAW}",),
                formula=_formula(section, named[name].unit),
            )
        if wrong:
            message = ", and ".join(cause.message for cause in wrong)
            raise ConfigurationError(message, source=f"devices.{device}.calibration", causes=tuple(wrong))

    def points(self, points: tuple[Point, ...]) -> tuple[Point, ...]:
        """The points of the driver, each calibrated one followed by that of its raw value."""
        if not self._by_name:
            return points
        found: list[Point] = []
        for point in points:
            one = self._by_name.get(point.name)
            found += [point] if one is None else [_calibrated(point, one), _raw(point)]
        return tuple(found)

    def samples(self, samples: Sequence[Sample], now_ns: int) -> Sequence[Sample]:
        """The samples of the driver, each of a calibrated point followed by that of its raw value."""
        if not self._by_name:
            return samples
        found: list[Sample] = []
        for sample in samples:
            one = self._by_name.get(sample.point)
            if one is None:
                found.append(sample)
            else:
                raw = Sample(
                    point=f"{sample.point}{RAW}",
                    value=sample.value,
                    quality=sample.quality,
                    device_ns=sample.device_ns,
                    reason=sample.reason,
                )
                found += [_applied(one, sample, now_ns), raw]
        return found

    def with_raw(self, names: Collection[str]) -> Collection[str]:
        """These points of the driver, and those of their raw values."""
        if not self._by_name:
            return names
        return {*names, *(f"{name}{RAW}" for name in names if name in self._by_name)}

    def of_driver(self, names: Iterable[str]) -> Collection[str]:
        """The points of the driver from which these come."""
        raw = {f"{name}{RAW}": name for name in self._by_name}
        return {raw.get(name, name) for name in names}

    def reset(self) -> None:
        """The link is lost: the filters begin anew."""
        for one in self._by_name.values():
            if one.filter:
                one.filter.reset()


NONE = Calibrations({}, ())


def _problem(name: str, points: Mapping[str, Point], section: CalibrationSection) -> tuple[str, str] | None:
    """(what is wrong, what to do)."""
    point = points.get(name)
    if point is None:
        return f"no point is named {name}", f"choose from {', '.join(sorted(points)[:12])}"
    if point.type not in (Type.FLOAT, Type.INT) or point.choices or point.codes:
        return f"{name} is no measured number", "calibrate numbers without choices and codes"
    of_setpoints = {one.readback for one in points.values()} | {one.rate for one in points.values()}
    if point.writable or name in of_setpoints:
        return (
            f"{name} is a setpoint, or the readback or rate of one: commands compare it with what was written",
            "derive a point of it, with the driver `derived`",
        )
    if f"{name}{RAW}" in points:
        return f"the device has a point {name}{RAW} already", "rename one of them"
    has_limits = point.limits != Limits()
    if has_limits and section.unit not in (None, point.unit) and (section.polynomial or section.table):
        return (
            f"the limits of {name} are in {point.unit or 'no unit'} and its values in {section.unit}",
            f"remove them where they are, and give them in {section.unit} under `points`",
        )
    return None


def _formula(section: CalibrationSection, unit: str) -> str:
    """For people: `0.12 + 1.003 x`."""
    parts: list[str] = []
    if section.polynomial is not None:
        parts.append(_polynomial(section.polynomial))
    elif section.table is not None:
        first, last = section.table[0], section.table[-1]
        parts.append(f"table of {len(section.table)} values, from {first[0]:g} to {last[0]:g}")
    elif section.unit is not None and section.unit != unit:
        parts.append(f"{units.written(unit)} to {units.written(section.unit)}")
    if section.filter is not None:
        parts.append(section.filter.spec.text)
    return "; ".join(parts)


def _polynomial(coefficients: Sequence[float]) -> str:
    """`0.12 + 1.003 x - 2 x^2`."""
    text = ""
    for power, value in enumerate(coefficients):
        if value:
            shown = "x" if power == 1 else f"x^{power}"
            term = f"{abs(value):g}" if power == 0 else shown if abs(value) == 1 else f"{abs(value):g} {shown}"
            sign = (" - " if value < 0 else " + ") if text else ("-" if value < 0 else "")
            text += sign + term
    return text or "0"


def _calibrated(point: Point, one: _One) -> Point:
    section, limits = one.section, point.limits
    unit = point.unit if section.unit is None else section.unit
    deadband = point.deadband
    if unit != point.unit and (section.polynomial is not None or section.table is not None):
        deadband = 0.0  # that of the driver is in the unit of the raw value
    elif (one.factor, one.offset) != (1.0, 0.0):
        deadband *= abs(one.factor)
        limits = _converted(limits, one.factor, one.offset)
    return replace(
        point,
        type=Type.FLOAT,
        unit=unit,
        precision=point.precision if section.precision is None else section.precision,
        deadband=deadband,
        limits=limits,
        formula=one.formula,
        inputs=one.inputs,
    )


def _converted(limits: Limits, factor: float, offset: float) -> Limits:
    found = {
        key: None if value is None else value * factor + offset
        for key in Limits.__struct_fields__
        for value in [getattr(limits, key)]
    }
    return Limits(**found)


def _raw(point: Point) -> Point:
    return replace(
        point,
        name=f"{point.name}{RAW}",
        column=f"{point.column}{RAW}" if point.column else "",
        label=f"{point.label} raw" if point.label else "",
        limits=Limits(),
        severity=0,
        main=False,
    )


def _applied(one: _One, sample: Sample, now_ns: int) -> Sample:
    found, quality, reason = _number(sample), sample.quality, sample.reason
    if found is None:
        if one.filter:
            one.filter.reset()
        return sample  # the host makes it BAD or STALE
    if one.calibration:
        result = one.calibration.of(found)
        if result.value is None:
            if one.filter:
                one.filter.reset()
            return _changed(sample, None, Quality.BAD, result.reason)
        found = result.value
        if result.quality > quality:
            quality, reason = result.quality, result.reason
    if one.filter:
        found, filtered = one.filter.take(found, quality, now_ns)
        reason = reason or ("a value in the window of its filter is uncertain" if filtered > quality else "")
        quality = filtered
    return _changed(sample, found, quality, reason)


def _number(sample: Sample) -> float | None:
    """The finite number that it has; None: it has none."""
    value = sample.value
    if sample.quality > Quality.UNCERTAIN or isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _changed(sample: Sample, value: float | None, quality: Quality, reason: str) -> Sample:
    return replace(sample, value=value, quality=quality, reason=reason)
