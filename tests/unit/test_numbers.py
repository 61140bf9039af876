"""A number is written so that a person sees it, in Python and in the browser alike."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import pytest

from countingroom.cli import values
from countingroom.console.present import format as write
from countingroom.core import severity
from countingroom.core.numbers import decimals
from countingroom.core.points import Limits, Point, Type
from tests.node import node

ROOT = Path(__file__).parents[2]
EXAMPLES = json.loads((ROOT / "tests" / "data" / "number-formats.json").read_text())
PRESSURE = Point(name="p", unit="mbar", limits=Limits(warning_high=1e-8, alarm_high=5e-8))


@pytest.mark.parametrize(("number", "precision", "text"), EXAMPLES)
def test_decimals_or_three_digits_with_an_exponent(number: float, precision: int, text: str) -> None:
    assert decimals(number, precision) == text


def test_the_browser_writes_the_same() -> None:
    script = ROOT / "src" / "countingroom" / "console" / "static" / "js" / "format.js"
    program = (
        f"const {{number}} = await import({json.dumps(script.as_uri())});"
        f"console.log(JSON.stringify({json.dumps(EXAMPLES)}.map(([n, precision]) => number(n, precision))))"
    )
    done = subprocess.run(
        [node(), "--input-type=module", "-e", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == [text for _, _, text in EXAMPLES]


def test_a_small_pressure_and_its_limits_are_seen_everywhere() -> None:
    assert write.value(PRESSURE, 3.2e-9) == "3.20e-9"
    assert write.limits(PRESSURE) == "warning above 1.00e-8 · alarm above 5.00e-8"
    assert severity.why(PRESSURE, 6e-8) == "p 6.00e-8 mbar is above its alarm limit 5.00e-8 mbar"
    assert values.number(3.2e-9, {"precision": 2}) == "3.20e-9"


def test_limits_of_a_whole_number_are_whole() -> None:
    rate = Point(name="n", type=Type.INT, limits=Limits(warning_high=45.0))
    assert write.limits(rate) == "warning above 45"


LIMITS = json.loads((ROOT / "tests" / "data" / "limit-formats.json").read_text())


@pytest.mark.parametrize(("given", "precision", "shown"), LIMITS)
def test_a_limit_is_not_rounded_to_another_one(given: float, precision: int, shown: str) -> None:
    point = Point(name="p", precision=precision, limits=Limits(alarm_high=float(given)), writable=True)
    point = msgspec.structs.replace(point, write_high=float(given))
    assert write.limits(point) == f"alarm above {shown}"
    assert write.allowed(point) == f"≤ {shown}"


def test_the_pages_write_limits_as_the_server_does() -> None:
    script = (ROOT / "src" / "countingroom" / "console" / "static" / "js" / "format.js").as_uri()
    points = [{"type": "float", "precision": digits, "limits": {"alarm_high": given}} for given, digits, _ in LIMITS]
    code = f"const {{limits}} = await import({json.dumps(script)});"
    code += f"console.log(JSON.stringify({json.dumps(points)}.map(limits)))"
    done = subprocess.run(
        [node(), "--input-type=module", "-e", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == [f"alarm above {shown}" for *_, shown in LIMITS]


@pytest.mark.parametrize(
    ("value", "limit", "precision", "said"),
    [
        (70.004, 70.0, 2, "p 70.004 is above its alarm limit 70.00"),
        (0.0149, 0.012, 2, "p 0.015 is above its alarm limit 0.012"),
        (0.0051, 0.005, 2, "p 0.01 is above its alarm limit 0.005"),
        (1e8 + 1, 1e8, 2, "p 100000001 is above its alarm limit 1.000e+8"),
        (3.2e-9 + 1e-14, 3.2e-9, 2, "p 3.20001e-09 is above its alarm limit 3.20e-9"),
    ],
)
def test_a_value_beyond_its_limit_is_not_written_as_the_limit(
    value: float, limit: float, precision: int, said: str
) -> None:
    point = Point(name="p", precision=precision, limits=Limits(alarm_high=limit))
    assert severity.why(point, value) == said
