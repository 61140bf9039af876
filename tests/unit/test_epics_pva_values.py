"""Values of PVAccess, made by p4p without a server, as samples of points."""

from __future__ import annotations

from typing import Any

import pytest
from p4p import Type as PvaType
from p4p import Value as PvaValue
from p4p import nt

from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.epics.completion import Unsaid, completed
from countingroom.devices.drivers.epics.convert import Variable, sample
from countingroom.devices.drivers.epics.pva_values import LostPv, description, update

_nt: Any = nt


def _sample(value: Any, kind: Type = Type.FLOAT, words: dict[str, Any] | None = None) -> Any:
    variable = Variable(pv="x", point=Point(name="x", column="x", type=kind), words=words or {})
    return sample(variable, update(value, as_text=bool(words) or kind is Type.STRING))


@pytest.mark.parametrize(
    ("kind", "given", "type", "expected"),
    [
        ("d", 1.5, Type.FLOAT, 1.5),
        ("?", True, Type.BOOL, True),
        ("l", (1 << 62) + 1, Type.INT, (1 << 62) + 1),
        ("L", (1 << 64) - 1, Type.INT, (1 << 64) - 1),
        ("s", "text", Type.STRING, "text"),
        ("s", "2.5", Type.FLOAT, 2.5),
        ("d", float("nan"), Type.FLOAT, None),
        ("d", 3.9, Type.INT, None),
        ("ad", [1.0, 2.0], Type.FLOAT, None),
        ("as", ["a", "b"], Type.STRING, None),
    ],
)
def test_a_scalar_is_its_value_and_what_does_not_fit_is_bad(
    kind: str, given: Any, type: Type, expected: Scalar
) -> None:
    got = _sample(_nt.NTScalar(kind).wrap(given, timestamp=1.5), type)
    assert got.value == expected and (got.quality is Quality.BAD) == (expected is None)
    assert got.quality is Quality.GOOD or got.reason


def test_an_enum_is_its_number_or_its_word() -> None:
    value = _nt.NTEnum().wrap({"index": 1, "choices": ["Off", "On"]})
    assert [_sample(value, kind).value for kind in (Type.INT, Type.BOOL, Type.STRING)] == [1, True, "On"]
    assert _sample(value, words={"Off": 0, "On": 7}).value == 7
    odd = _nt.NTEnum().wrap({"index": 5, "choices": ["Off", "On"]})
    assert "none of Off, On" in _sample(odd, words={"Off": 0, "On": 7}).reason


@pytest.mark.parametrize(
    ("severity", "quality", "alarm"),
    [(1, Quality.UNCERTAIN, 3), (2, Quality.UNCERTAIN, 2), (3, Quality.BAD, 0), (4, Quality.BAD, 0)],
)
def test_severity_and_message_are_quality_and_reason(severity: int, quality: Quality, alarm: int) -> None:
    value = _nt.NTScalar("d").wrap(5.0)
    value["alarm"] = {"severity": severity, "status": 3, "message": "HIGH"}
    got = _sample(value)
    assert (got.quality, got.alarm) == (quality, alarm) and got.reason.startswith("HIGH alarm of the IOC")


def test_no_time_is_none_and_a_lost_link_is_stale() -> None:
    value = _nt.NTScalar("d").wrap(5.0)
    value["timeStamp"] = {"secondsPastEpoch": 0, "nanoseconds": 0}
    assert _sample(value).device_ns is None
    value["timeStamp"] = {"secondsPastEpoch": 1_700_000_000, "nanoseconds": 25}
    assert _sample(value).device_ns == 1_700_000_000_000_000_025
    variable = Variable(pv="x", point=Point(name="x", column="x"))
    assert sample(variable, LostPv()).quality is Quality.STALE


def test_a_structure_without_a_value_is_bad() -> None:
    value: Any = PvaValue(PvaType([("value", ("S", None, [("x", "d"), ("y", "d")]))]), {})
    assert _sample(value).reason == "it is a structure without a single value"
    assert description(PvaValue(PvaType([("labels", "as")]), {})) is None


def test_display_control_and_limits_complete_a_point() -> None:
    value = _nt.NTScalar("d", display=True, control=True, valueAlarm=True).wrap(5.0)
    value["display"] = {"units": "mbar"}
    value["control"] = {"limitLow": -5.0, "limitHigh": 30.0}
    value["valueAlarm"] = {
        "lowAlarmLimit": float("nan"),
        "lowWarningLimit": 1.0,
        "highWarningLimit": 8.0,
        "highAlarmLimit": 9.0,
    }
    point = completed(Point(name="x", column="x", writable=True), frozenset(Unsaid), description(value))
    assert (point.unit, point.write_low, point.write_high) == ("mbar", -5.0, 30.0)
    assert point.limits == Limits(warning_low=1.0, warning_high=8.0, alarm_high=9.0)
    enum = description(_nt.NTEnum().wrap({"index": 1, "choices": ["Off", "On"]}))
    assert enum is not None and enum.enums == ("Off", "On")
    assert description(_nt.NTScalar("s").wrap("text")) is None


def test_texts_that_are_no_utf_8_are_read_as_latin_1() -> None:
    members: list[Any] = [("value", "d"), ("display", ("S", "d", [("units", "s")]))]
    degrees = PvaValue(PvaType(members), {"value": 1.0, "display": {"units": b"\xb0C"}})
    said = description(degrees)
    assert said is not None and said.units == "°C"
    texts: list[Any] = [("value", "s")]
    assert update(PvaValue(PvaType(texts), {"value": b"21 \xb0C"}), as_text=True) == "21 °C"
    words: list[Any] = [("value", ("S", "enum_t", [("index", "i"), ("choices", "as")]))]
    odd = PvaValue(PvaType(words), {"value": {"index": 1, "choices": [b"off", b"b\xb0"]}})
    assert update(odd, as_text=True) == 1, "a number: its word is not known"
