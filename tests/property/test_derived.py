"""Calibrations, filters and derived values against plain models: numpy, lists, and an evaluation of everything anew."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.derived.calibration import Outside, PointCalibration
from countingroom.core.derived.evaluation import Derived, DerivedSpec
from countingroom.core.derived.filters import Filter, FilterKind, FilterSpec
from countingroom.core.derived.order import in_order, loop
from countingroom.core.values import Quality, Reading

S = 1_000_000_000
NUMBERS = st.floats(-1e6, 1e6)
TABLES = st.lists(st.tuples(st.integers(-1000, 1000), NUMBERS), min_size=2, max_size=8, unique_by=lambda one: one[0])


@given(st.lists(NUMBERS, min_size=1, max_size=6), st.floats(-100, 100))
def test_a_polynomial_is_that_of_numpy(coefficients: list[float], raw: float) -> None:
    found = PointCalibration(polynomial=tuple(coefficients)).of(raw)
    assert found.value == pytest.approx(float(np.polynomial.polynomial.polyval(raw, coefficients)), rel=1e-9, abs=1e-6)
    assert found.quality is Quality.GOOD


@given(TABLES, st.floats(-1100, 1100), st.sampled_from(Outside))
def test_a_table_is_interpolated_as_by_numpy(table: list[tuple[int, float]], raw: float, outside: Outside) -> None:
    table.sort()
    pairs = tuple((float(x), y) for x, y in table)
    found = PointCalibration(table=pairs, outside=outside).of(raw)
    is_inside = pairs[0][0] <= raw <= pairs[-1][0]
    if is_inside or outside is Outside.HOLD:
        expected = float(np.interp(raw, [x for x, _ in pairs], [y for _, y in pairs]))
        assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-6)
        assert found.quality is (Quality.GOOD if is_inside else Quality.UNCERTAIN)
    elif outside is Outside.BAD:
        assert (found.value, found.quality) == (None, Quality.BAD)
        assert "where the calibration ends" in found.reason
    else:
        (left, low), (right, high) = pairs[:2] if raw < pairs[0][0] else pairs[-2:]
        assert found.value == pytest.approx(low + (high - low) / (right - left) * (raw - left), rel=1e-6, abs=1e-3)
        assert found.quality is Quality.UNCERTAIN


STEPS = st.lists(
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.integers(-2 * S, 3 * S)), max_size=30
)


@given(STEPS, st.sampled_from(["median", "mean"]), st.integers(2, 6), st.booleans())
@example([(1.7976931348623157e308, True, 0)] * 3, "mean", 3, True)
def test_a_window_gives_what_a_list_of_its_values_gives(
    steps: list[tuple[float, bool, int]], kind: str, size: int, is_counted: bool
) -> None:
    spec = FilterSpec(kind=FilterKind(kind), count=size if is_counted else 0, over_s=0.0 if is_counted else size)
    made, kept, now_ns = Filter(spec), list[tuple[float, bool, int]](), 0
    for value, is_good, passed_ns in steps:
        now_ns += passed_ns
        kept.append((value, is_good, now_ns))
        while len(kept) > 1 and not (len(kept) <= size if is_counted else 0 <= now_ns - kept[0][2] < size * S):
            kept.pop(0)
        found, quality = made.take(value, Quality.GOOD if is_good else Quality.UNCERTAIN, now_ns)
        values = [one for one, _, _ in kept]
        assert math.isfinite(found)
        if max(map(abs, values)) < 1e150:
            expected = statistics.median(values) if kind == "median" else statistics.fmean(values)
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)
        assert (quality is Quality.GOOD) == all(good for _, good, _ in kept)


@given(st.lists(st.tuples(NUMBERS, st.floats(0, 100)), min_size=1, max_size=20), st.floats(0.1, 100))
def test_exponential_smoothing_goes_towards_the_value(steps: list[tuple[float, float]], over_s: float) -> None:
    made = Filter(FilterSpec(kind=FilterKind.EXPONENTIAL, over_s=over_s))
    expected, now_ns = steps[0][0], 0
    for number, (value, passed_s) in enumerate(steps):
        now_ns += round(passed_s * S)
        if number:
            expected += (1 - math.exp(-round(passed_s * S) / S / over_s)) * (value - expected)
        found, _ = made.take(value, Quality.GOOD, now_ns)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-3)


ADDRESSES = ("r.a", "r.b", "r.c")
EXPRESSIONS = {
    "d.sum": "r.a + r.b",
    "d.ratio": "d.sum / r.c",
    "d.log": "log(r.a)",
    "d.both": "max(d.ratio, d.log)",
    "d.alone": "r.c * 2",
}


def read(value: float, quality: Quality, at: int) -> Reading:
    reason = "" if quality is Quality.GOOD else "why"
    value_or_none = None if quality is Quality.BAD else value
    return Reading(value=value_or_none, quality=quality, device_ns=at, received_ns=at, reason=reason)


READINGS = st.builds(
    read,
    st.sampled_from([-1.0, 0.0, 1.0, 2.5, 1e308]),
    st.sampled_from(Quality),
    st.integers(1, 100),
)


def anew(address: str, readings: dict[str, Reading]) -> tuple[float | None, Quality, int]:
    """The plain model: everything is evaluated again from the inputs."""
    if address in ADDRESSES:
        one = readings[address]
        value = one.value if isinstance(one.value, float) else None
        return value, one.quality, one.device_ns
    expression = compile_expression(EXPRESSIONS[address])
    inputs = {one: anew(one, readings) for one in expression.references}
    quality = max(one for _, one, _ in inputs.values())
    newest = max(at for _, _, at in inputs.values())
    if quality >= Quality.STALE:
        return None, quality, newest
    a, b, c = ([*(value or 0.0 for value, _, _ in inputs.values()), 0.0, 0.0])[:3]
    try:
        value = {
            "d.sum": lambda: a + b,
            "d.ratio": lambda: a / b,
            "d.log": lambda: math.log(a),
            "d.both": lambda: max(a, b),
            "d.alone": lambda: a * 2 + c * 0,
        }[address]()
    except (ValueError, ZeroDivisionError):
        return None, Quality.BAD, newest
    return (value, quality, newest) if math.isfinite(value) else (None, Quality.BAD, newest)


def leaves(address: str) -> set[str]:
    """The inputs that it is made of in the end."""
    if address in ADDRESSES:
        return {address}
    return {leaf for one in compile_expression(EXPRESSIONS[address]).references for leaf in leaves(one)}


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from(ADDRESSES), READINGS, min_size=1), max_size=12))
def test_derived_values_are_those_of_an_evaluation_anew(batches: list[dict[str, Reading]]) -> None:
    made = Derived(DerivedSpec(address=one, expression=compile_expression(text)) for one, text in EXPRESSIONS.items())
    known: dict[str, Reading] = {}
    shown: dict[str, Reading] = {}
    for batch in batches:
        known |= batch
        told = made.take(batch)
        assert len({address for address, _ in told}) == len(told)  # each once
        shown |= dict(told)
        assert dict(made.readings) == shown
        assert {address for address in EXPRESSIONS if leaves(address) <= known.keys()} == shown.keys()
        for address, reading in shown.items():
            value, quality, newest = anew(address, known)
            assert (reading.value, reading.quality, reading.device_ns) == (value, quality, newest)
            assert bool(reading.reason) == (quality is not Quality.GOOD)
        present = sum(one.quality <= Quality.UNCERTAIN for one in known.values())
        assert made.missing == len(ADDRESSES) - present


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdefgh"))))
def test_values_come_after_what_they_need_or_there_is_a_loop(inputs: dict[str, set[str]]) -> None:
    found = loop(inputs)
    if found:
        assert found[0] == found[-1]
        assert all(after in inputs[before] for before, after in itertools.pairwise(found))
        with pytest.raises(ValueError, match="it depends on itself"):
            in_order(inputs)
    else:
        order = in_order(inputs)
        assert sorted(order) == sorted(inputs)
        assert all(order.index(one) < order.index(name) for name in order for one in inputs[name] if one in inputs)
