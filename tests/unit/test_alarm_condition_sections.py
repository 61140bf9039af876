"""What the description says of a condition becomes the condition that is evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.core.alarms.conditions.specs import (
    AlarmLimit,
    ConditionSpec,
    DeviationSpec,
    ExpressionSpec,
    LimitSpec,
    QualitySpec,
    RateSpec,
    StateSpec,
    UpdateSpec,
)
from countingroom.core.alarms.definition import WatchedCondition


def custom(section: dict[str, Any]) -> WatchedCondition:
    (one,) = Definitions(AlarmsSection.model_validate({"custom": {"a": section}})).of_customs()
    assert one.condition
    return one.condition


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
    assert custom(section) == WatchedCondition(spec=spec, points=points)


def test_a_state_is_watched_by_what_it_is_of() -> None:
    found = custom({"state": {"of": "device.caen", "not_in": ["HV_ON", "on"]}})
    spec = StateSpec(states=("HV_ON", "on"), inside=False, priority=3)
    assert found == WatchedCondition(spec=spec, subject="device.caen")


def test_delays_of_an_override_count_for_an_alarm_of_its_own() -> None:
    section = {
        "custom": {"a": {"quality": {"point": "a.b"}, "on_delay": 1}},
        "overrides": {"custom.*": {"on_delay": 3}},
    }
    (one,) = Definitions(AlarmsSection.model_validate(section)).of_customs()
    assert one.condition
    assert one.condition.spec == QualitySpec(stale=3, bad=3, missing=3, on_delay_ns=3_000_000_000)


def test_a_suppression_has_its_condition_and_reason() -> None:
    section = {
        "suppress": {
            "idle": {"when": {"state": {"of": "partition.p", "in": ["Idle"]}}, "alarms": "point.*", "reason": "idle"}
        }
    }
    (one,) = Definitions(AlarmsSection.model_validate(section)).suppressions().values()
    assert (one.name, one.reason) == ("idle", "idle")
    assert one.condition == WatchedCondition(spec=StateSpec(states=("Idle",), priority=3), subject="partition.p")
