"""A value that can change no row of its point is compared with one band of numbers, and not evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.core.alarms.conditions import rows as rows_module
from countingroom.core.alarms.conditions.kinds import Evaluate, evaluator
from countingroom.core.alarms.conditions.rows import ConditionRows
from countingroom.core.alarms.conditions.specs import (
    AlarmLimit,
    ConditionSpec,
    ConditionState,
    LimitSpec,
    QualitySpec,
    StateSpec,
)
from tests.unit.test_alarm_conditions import LIMITS, S, message


@pytest.mark.parametrize(
    ("second", "quiet", "evaluated"),
    [
        (LimitSpec(high=(AlarmLimit(8.0, 2),), low=(AlarmLimit(-5.0, 2),)), (0.0, 4.0, 8.0), (9.0, -1.0)),
        (LimitSpec(high=(AlarmLimit(99.0, 2),), low=(AlarmLimit(3.0, 2),)), (3.0, 7.0, 10.0), (1.0, 11.0)),
        (StateSpec(states=(7.0,), priority=2), (0.0,), (1.0, 0.5)),
        (QualitySpec(stale=3, bad=3), (0.0, 10.0), (11.0, -1.0)),
    ],
)
def test_a_value_in_the_bands_of_all_rows_of_a_point_is_not_evaluated(
    second: ConditionSpec, quiet: tuple[float, ...], evaluated: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0

    def counting(spec: ConditionSpec) -> Evaluate:
        def evaluate(*given: Any) -> ConditionState:
            nonlocal count
            count += 1
            return evaluator(spec)(*given)

        return evaluate

    monkeypatch.setattr(rows_module, "evaluator", counting)
    for values, is_evaluated in ((quiet, False), (evaluated, True)):
        for value in values:
            rows = ConditionRows()
            for spec in (LIMITS, second):
                rows.add(spec, ("caen.v",), now_ns=0)
            rows.take(message("caen", {"v": quiet[0]}), S)
            before = count
            rows.take(message("caen", {"v": value}), 2 * S)
            assert (count > before) is is_evaluated, value
