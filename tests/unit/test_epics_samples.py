"""Each value of an IOC becomes a sample with its quality and its time."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.epics.convert import EPOCH_S, Variable, sample


class Said(float):
    """A number as it comes from a server."""

    ok = True
    severity = 0
    raw_stamp = (1_700_000_000, 250)


class SaidText(str):
    ok = True
    severity = 0
    raw_stamp = (1_700_000_000, 250)
    __slots__ = ()


def variable(kind: Type = Type.FLOAT, words: dict[str, Any] | None = None) -> Variable:
    return Variable(pv="x", point=Point(name="x", column="x", type=kind), words=words or {})


def test_a_value_keeps_the_time_of_the_ioc_to_the_nanosecond() -> None:
    got = sample(variable(), Said(3.5))
    assert (got.value, got.quality, got.device_ns) == (3.5, Quality.GOOD, 1_700_000_000_000_000_250)


@pytest.mark.parametrize(
    ("severity", "quality"),
    [(0, Quality.GOOD), (1, Quality.UNCERTAIN), (2, Quality.UNCERTAIN), (3, Quality.BAD), (7, Quality.BAD)],
)
def test_the_alarm_severity_is_the_quality(severity: int, quality: Quality) -> None:
    said = Said(3.5)
    said.severity = severity
    got = sample(variable(), said)
    assert got.quality is quality
    assert (got.value is None) == (quality is Quality.BAD)


def test_a_record_never_processed_has_no_time() -> None:
    said = Said(0)
    said.raw_stamp = (EPOCH_S, 0)
    assert sample(variable(), said).device_ns is None


def test_news_of_a_lost_link_is_stale() -> None:
    said = Said(0)
    said.ok = False
    assert sample(variable(), said).quality is Quality.STALE


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        (Type.INT, Said(7), 7),
        (Type.BOOL, Said(1), True),
        (Type.BOOL, Said(0), False),
        (Type.STRING, SaidText("V1.2"), "V1.2"),
        (Type.FLOAT, Said("nan"), None),
        (Type.FLOAT, Said("inf"), None),
        (Type.INT, Said("nan"), None),
        (Type.FLOAT, SaidText("broken"), None),
    ],
)
def test_a_value_is_of_its_points_type_or_no_value(kind: Type, said: Any, value: Scalar) -> None:
    got = sample(variable(kind), said)
    assert got.value == value
    assert type(got.value) is type(value)
    assert got.quality is (Quality.BAD if value is None else Quality.GOOD)


def test_words_become_values_and_unknown_words_none() -> None:
    switch = variable(Type.INT, {"Off": 0, "On": 1})
    assert sample(switch, SaidText("On")).value == 1
    assert sample(switch, Said(0)).value == 0
    assert sample(switch, SaidText("Broken")).quality is Quality.BAD
    assert switch.to_send(1) == "On"


def test_a_long_string_is_a_string() -> None:
    class Bytes(numpy.ndarray[Any, Any]):
        ok = True
        severity = 0
        raw_stamp = (1_700_000_000, 0)

    long = numpy.frombuffer(b"a text of more than forty characters, as file names are\0\0", dtype=numpy.uint8)
    got = sample(variable(Type.STRING), long.view(Bytes))
    assert got.value == "a text of more than forty characters, as file names are"


@given(st.floats(), st.integers(-5, 9), st.integers(0, 2**32 - 1), st.sampled_from(list(Type)))
def test_nothing_an_ioc_says_raises_or_is_nan(number: float, severity: int, seconds: int, kind: Type) -> None:
    said = Said(number)
    said.severity, said.raw_stamp = severity, (seconds, 0)
    got = sample(variable(kind), said)
    assert got.value == got.value
    assert (got.quality is Quality.BAD) == (got.value is None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_number_that_the_protocol_may_have_rounded_is_bad(sign: int) -> None:
    """An int64in of 2^53 + 1 arrives as the double 2^53, as 2^53 itself does."""
    got = sample(variable(Type.INT), Said(sign * (2**53 + 1)))
    assert (got.value, got.quality) == (None, Quality.BAD)
    assert "2^53" in got.reason
    exact = sample(variable(Type.INT), Said(sign * (2**53 - 1)))
    assert (exact.value, exact.quality) == (sign * (2**53 - 1), Quality.GOOD)
