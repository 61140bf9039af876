"""What the table does not say of a point is what its IOC says, and nothing that contradicts itself."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from countingroom.core.points import Limits, Point, Type
from countingroom.devices.drivers.epics.completion import Unsaid, completed
from countingroom.devices.drivers.epics.description import EpicsValue
from countingroom.devices.point_overrides import overridden
from countingroom.devices.section import PointOverride

EVERYTHING = frozenset(Unsaid)
NAN = math.nan


def said(low2: float = NAN, low: float = NAN, high: float = NAN, high2: float = NAN, **more: Any) -> SimpleNamespace:
    limits = {
        "lower_alarm_limit": low2,
        "lower_warning_limit": low,
        "upper_warning_limit": high,
        "upper_alarm_limit": high2,
    }
    return SimpleNamespace(**{"units": "mbar", "precision": 4, **limits, **more})


def test_the_ioc_gives_unit_precision_and_limits() -> None:
    point = completed(Point(name="p"), EVERYTHING, said(-5, -2, 2, 5))
    assert (point.unit, point.precision) == ("mbar", 4)
    assert point.limits == Limits(alarm_low=-5, warning_low=-2, warning_high=2, alarm_high=5)


def test_what_the_table_says_stays() -> None:
    point = Point(name="p", unit="hPa", precision=1, limits=Limits(alarm_high=9))
    assert completed(point, frozenset(), said(-5, -2, 2, 5)) == point


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ((NAN, NAN, NAN, 10), Limits(alarm_high=10)),
        ((NAN, NAN, NAN, NAN), Limits()),
        ((0, 0, 0, 0), Limits()),
        ((5, 2, -2, -5), Limits()),
    ],
)
def test_limits_that_are_none_are_not_taken(given: tuple[float, ...], limits: Limits) -> None:
    assert completed(Point(name="p"), EVERYTHING, said(*given)).limits == limits


@pytest.mark.parametrize(("precision", "taken"), [(-1, 0), (99, 15)])
def test_a_precision_beyond_what_can_be_shown_is_cut(precision: int, taken: int) -> None:
    assert completed(Point(name="p"), EVERYTHING, said(precision=precision)).precision == taken


def test_the_words_of_an_enum_are_codes_and_choices() -> None:
    given = SimpleNamespace(enums=["Off", "On"])
    number = completed(Point(name="p", type=Type.INT), EVERYTHING, given)
    assert (number.codes, number.choices) == ({"0": "Off", "1": "On"}, (0, 1))
    assert completed(Point(name="p", type=Type.STRING), EVERYTHING, given).choices == ("Off", "On")
    assert completed(Point(name="p", type=Type.BOOL), EVERYTHING, given).codes == {"false": "Off", "true": "On"}
    assert completed(Point(name="p", type=Type.INT), frozenset(), given) == Point(name="p", type=Type.INT)


@pytest.mark.parametrize(
    ("value", "unsaid"),
    [
        ({}, {Unsaid.UNIT, Unsaid.PRECISION, Unsaid.LIMITS, Unsaid.WORDS}),
        ({"unit": "", "precision": 2, "alarm_high": 1}, {Unsaid.WORDS}),
        ({"type": "int", "words": {"Off": 0}}, {Unsaid.UNIT, Unsaid.LIMITS}),
        (
            {"writable": True, "unit": "V", "precision": 1, "alarm_low": 0, "codes": {"0": "off"}},
            {Unsaid.WRITE_LIMITS},
        ),
        ({"type": "string"}, {Unsaid.WORDS}),
        ({"type": "bool", "codes": {"true": "open"}}, set()),
    ],
)
def test_the_table_says_what_it_names(value: dict[str, Any], unsaid: set[Unsaid]) -> None:
    assert EpicsValue.model_validate({"pv": "x", **value}).unsaid() == unsaid


@pytest.mark.parametrize(
    ("low", "high", "taken"),
    [
        (-5, 30, (-5, 30)),
        (0, 0, (None, None)),
        (30, -5, (None, None)),
        (NAN, NAN, (None, None)),
        (-1e300, 7, (None, 7)),
        (-7, 3.4e38, (-7, None)),
    ],
)
def test_the_limits_of_a_setpoint_are_those_that_allow_a_range(
    low: float, high: float, taken: tuple[float | None, float | None]
) -> None:
    given = said(lower_ctrl_limit=low, upper_ctrl_limit=high)
    point = completed(Point(name="p", writable=True), EVERYTHING, given)
    assert (point.write_low, point.write_high) == taken


def test_an_override_makes_the_limits_of_the_ioc_narrower_and_never_wider() -> None:
    given = said(lower_ctrl_limit=-5, upper_ctrl_limit=30)
    table = (Point(name="p", writable=True, limited_by="IOC"),)
    override = {"p": PointOverride(write_low=-2, write_high=90)}
    (described,) = overridden(table, override)
    (point,) = overridden((completed(described, EVERYTHING, given),), override)
    assert (point.write_low, point.write_low_source) == (-2, "")
    assert (point.write_high, point.write_high_source) == (30, "IOC")
