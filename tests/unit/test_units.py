"""Units of points are known; other texts are not, and the program starts without loading all units."""

from __future__ import annotations

import subprocess
import sys

import pytest

from countingroom.core.units import is_unit


@pytest.mark.parametrize(
    "unit", ["", "V", "uA", "A", "degC", "g/s", "bar", "percent", "ppm", "rpm", "s", "ms", "V/s", "W", "ppb"]
)
def test_units_of_points_are_units(unit: str) -> None:
    assert is_unit(unit)


@pytest.mark.parametrize("text", ["vollt", "V)", "1 __import__('os')", "kelvinn"])
def test_other_texts_are_no_units(text: str) -> None:
    assert not is_unit(text)


def test_pint_is_imported_at_the_first_question() -> None:
    code = "import sys, countingroom.core.units; assert 'pint' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
