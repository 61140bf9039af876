"""Calibrations of a device's points: what is refused, what becomes of limits, and which samples come out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from countingroom.core.errors import ConfigurationError
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality
from countingroom.devices.calibration_section import CalibrationSection
from countingroom.devices.calibrations import Calibrations
from countingroom.devices.port import Sample

POINTS = (
    Point(name="t", column="t", unit="degC", deadband=0.5, limits=Limits(warning_high=30.0)),
    Point(name="adc", column="adc", type=Type.INT, unit="mV"),
    Point(name="set", column="set", writable=True, readback="mon"),
    Point(name="mon", column="mon"),
    Point(name="state", column="state", type=Type.INT, codes={"1": "on"}),
    Point(name="old", column="old"),
    Point(name="old_raw", column="old_raw"),
)


def made(**calibration: Any) -> Calibrations:
    sections = {name: CalibrationSection.model_validate(one) for name, one in calibration.items()}
    return Calibrations(sections, POINTS, device="d")


@pytest.mark.parametrize(
    ("name", "calibration", "why"),
    [
        ("nothing", {"polynomial": [1.0]}, "no point is named nothing"),
        ("set", {"polynomial": [1.0]}, "is a setpoint"),
        ("mon", {"polynomial": [1.0]}, "the readback or rate of one"),
        ("state", {"polynomial": [1.0]}, "is no measured number"),
        ("old", {"polynomial": [1.0]}, "has a point old_raw already"),
        ("adc", {"unit": "K"}, "mV cannot be converted to K"),
        ("t", {"polynomial": [1.0, 2.0], "unit": "bar"}, "the limits of t are in degC and its values in bar"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_with_its_place(name: str, calibration: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        made(**{name: calibration})
    assert caught.value.cause.causes[0].source == f"devices.d.calibration.{name}"


def test_a_conversion_takes_limits_and_deadband_with_it() -> None:
    points = {point.name: point for point in made(t={"unit": "degF"}, adc={"unit": "V", "precision": 4}).points(POINTS)}
    assert (points["t"].limits.warning_high, points["t"].deadband) == (pytest.approx(86.0), pytest.approx(0.9))
    assert (points["t_raw"].limits, points["t_raw"].unit, points["t_raw"].main) == (Limits(), "degC", False)
    assert (points["adc"].type, points["adc"].precision, points["adc_raw"].type) == (Type.FLOAT, 4, Type.INT)
    assert points["adc"].formula == "mV to V"


def test_a_polynomial_is_written_as_people_write_it() -> None:
    found = made(t={"polynomial": [-0.3, 1.0, 0, -2.5]}, adc={"polynomial": [0, -1]}).points(POINTS)
    assert [point.formula for point in found if point.formula] == ["-0.3 + x - 2.5 x^3", "-x"]


def test_samples_come_with_their_raw_value() -> None:
    calibrations = made(t={"table": [[0, 0], [10, 20]], "outside": "hold"})
    other = Sample(point="mon", value=1.0)
    doubtful = Sample(point="t", value=5.0, quality=Quality.UNCERTAIN, reason="why", alarm=2, device_ns=7)
    found = calibrations.samples([other, doubtful], 0)
    assert found[0] is other
    assert found[1] == Sample(point="t", value=10.0, quality=Quality.UNCERTAIN, reason="why", alarm=2, device_ns=7)
    assert found[2] == Sample(point="t_raw", value=5.0, quality=Quality.UNCERTAIN, reason="why", device_ns=7)
    (held, raw) = calibrations.samples([Sample(point="t", value=11)], 0)
    assert (held.value, held.quality, raw.quality) == (20.0, Quality.UNCERTAIN, Quality.GOOD)
    stale = Sample(point="t", value=None, quality=Quality.STALE)
    assert [one.quality for one in calibrations.samples([stale], 0)] == [Quality.STALE] * 2


@pytest.mark.parametrize("gap", [None, math.nan, "x", True, 10**400])
def test_a_filter_begins_anew_after_a_value_that_is_no_number(gap: Any) -> None:
    calibrations = made(t={"filter": {"kind": "mean", "count": 3}})

    def read(value: Any) -> Any:
        return calibrations.samples([Sample(point="t", value=value)], 0)[0].value

    assert [read(1.0), read(3.0)] == [1.0, 2.0]
    read(gap)
    assert read(5.0) == 5.0
    calibrations.reset()
    assert read(7.0) == 7.0


def test_an_outdated_raw_point_is_asked_for_by_the_name_of_the_driver() -> None:
    calibrations = made(t={"unit": "K"})
    assert calibrations.with_raw({"t", "mon"}) == {"t", "t_raw", "mon"}
    assert calibrations.of_driver({"t_raw", "mon"}) == {"t", "mon"}
