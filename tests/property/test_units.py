"""A number told in another unit and back is the same number, and nonsense is refused with what was expected."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import OutOfRange
from countingroom.core.units import convert, is_unit, parse, same_dimension

ALIKE = [("V", "kV"), ("uA", "A"), ("degC", "K"), ("degC", "degF"), ("g/s", "kg/h"), ("bar", "mbar"), ("percent", "")]
values = st.floats(-1e9, 1e9)


@given(values, st.sampled_from(ALIKE))
def test_there_and_back_is_the_same(value: float, pair: tuple[str, str]) -> None:
    one, other = pair
    assert convert(convert(value, one, other), other, one) == pytest.approx(value, rel=1e-9, abs=1e-6)


@given(values, st.sampled_from(["V", "uA", "degC", "percent", ""]))
def test_what_is_printed_with_its_unit_is_read_back_as_it_was(value: float, unit: str) -> None:
    assert parse(f"{value!r} {unit}", to=unit) == value


@pytest.mark.parametrize(
    ("text", "to", "value"),
    [
        ("1.5 kV", "V", 1500.0),
        ("1500", "V", 1500.0),
        ("-20degC", "degC", -20.0),
        ("0 degC", "K", 273.15),
        ("3.5 mA", "uA", 3500.0),
        ("1e3 mV", "V", 1.0),
        (".5 %", "percent", 0.5),
        ("6000 rpm", "rpm", 6000.0),
        ("3.6 kg/h", "g/s", 1.0),
        ("400 ppm", "ppm", 400.0),
    ],
)
def test_what_people_write_becomes_the_points_unit(text: str, to: str, value: float) -> None:
    assert parse(text, to=to) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "high", "1,5 V", "nan", "inf V", "1 V 2", "1 V)", "1 __import__('os')", "1 kelvinn"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(OutOfRange):
        parse(text, to="V")


def test_another_dimension_is_refused_with_the_unit_that_was_expected() -> None:
    with pytest.raises(OutOfRange) as refused:
        parse("5 A", to="V")
    assert refused.value.cause.message == "A cannot be converted to V"
    assert refused.value.cause.suggestion == "give the value in V"
    assert not same_dimension("A", "V")


def test_units_of_points_are_units() -> None:
    for unit in ("", "V", "uA", "A", "degC", "g/s", "bar", "percent", "ppm", "rpm", "s", "ms", "V/s", "W", "ppb"):
        assert is_unit(unit), unit
    assert not is_unit("vollt")


def test_pint_is_not_imported_before_the_first_conversion() -> None:
    code = "import sys, countingroom.core.units as u; u.parse('3', to='V'); assert 'pint' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
