"""What the description says of a condition becomes the condition that is evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.described_conditions import condition_of
from countingroom.core.alarms.conditions.described import DescribedCondition
from countingroom.core.alarms.conditions.specs import (
    AlarmLimit,
    ConditionSpec,
    DeviationSpec,
    ExpressionSpec,
    LimitSpec,
    QualitySpec,
    RateSpec,
    UpdateSpec,
)


def custom(section: dict[str, Any]) -> DescribedCondition:
    made = AlarmsSection.model_validate({"custom": {"a": section}})
    (one,) = Definitions(made).of_customs()
    return condition_of(made.custom["a"], one)


@pytest.mark.parametrize(
    ("section", "spec", "points"),
    [
        (
            {"limit": {"point": "a.b", "warning_high": 3, "alarm_low": -1}, "hysteresis": 0.5},
            LimitSpec(high=(AlarmLimit(3, 3),), low=(AlarmLimit(-1, 2),), hysteresis=0.5),
            ("a.b",),
        ),
        (
            {"rate": {"point": "a.b", "rise": 6, "fall": 3, "per": "1 min"}, "on_delay": 1, "hysteresis": 0.6},
            RateSpec(
                high=(AlarmLimit(0.1, 3),),
                low=(AlarmLimit(-0.05, 3),),
                over_ns=60_000_000_000,
                hysteresis=0.01,
                on_delay_ns=1_000_000_000,
            ),
            ("a.b",),
        ),
        (
            {"deviation": {"point": "a.b", "setpoint": "a.c", "more_than": 2}, "count": {"n": 2, "of": 2}},
            DeviationSpec(high=(AlarmLimit(2, 3),), count=2, of=2),
            ("a.b", "a.c"),
        ),
        ({"quality": {"point": "a.b", "qualities": ["bad"]}}, QualitySpec(bad=3), ("a.b",)),
        (
            {"silence": {"point": "a.b", "longer_than": 5}, "off_delay": 1},
            UpdateSpec(after_ns=5_000_000_000, priority=3, off_delay_ns=1_000_000_000),
            ("a.b",),
        ),
        (
            {"expression": {"text": 'x > c.d and point("e.0.f") < 1', "names": {"x": "a.b", "y": "g.h"}}},
            ExpressionSpec(expression='x > c.d and point("e.0.f") < 1', names={"x": "a.b", "y": "g.h"}, priority=3),
            ("a.b", "c.d", "e.0.f"),
        ),
    ],
)
def test_each_kind_of_condition_is_made(section: dict[str, Any], spec: ConditionSpec, points: tuple[str, ...]) -> None:
    found = custom(section)
    assert (found.spec, found.inputs) == (spec, points)


def test_a_hysteresis_is_at_most_the_range_between_the_limits() -> None:
    limit = {"point": "a.b", "warning_low": 1, "alarm_high": 2}
    spec = custom({"limit": limit, "hysteresis": 3}).spec
    assert isinstance(spec, LimitSpec)
    assert spec.hysteresis == 1
    spec = custom({"rate": {"point": "a.b", "rise": 6, "fall": 6}, "hysteresis": 60}).spec
    assert isinstance(spec, RateSpec)
    assert spec.hysteresis == pytest.approx(0.2)


def test_a_rate_tells_which_way_is_too_fast() -> None:
    assert custom({"rate": {"point": "a.b", "rise": 6}}).text == "a.b rises by more than 6 in 1 min"
