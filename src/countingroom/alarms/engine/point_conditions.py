"""The conditions of points whose alarm has hysteresis, delays or a count of readings. Pure.

All other points need no memory; `core/severity.py` gives their level from the last reading.
"""

from __future__ import annotations

from countingroom.alarms.conditions import limit_spec, settling_of
from countingroom.core import severity
from countingroom.core.alarms.conditions.kinds import evaluator, initial
from countingroom.core.alarms.conditions.kinds import pass_time as pass_condition
from countingroom.core.alarms.conditions.settling import set_back
from countingroom.core.alarms.conditions.specs import AT_REST, ConditionSpec, ConditionState, StateSpec
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.points import Point
from countingroom.core.values import Scalar


class PointCondition:
    """The condition of one point with its memory. Levels are those of `core/severity.py`; STALE means unknown."""

    def __init__(self, spec: ConditionSpec, now_ns: int, *, level: int = 0, since_ns: int = 0) -> None:
        """`level`, `since_ns`: level and begin that the alarm had before a restart."""
        self._spec = spec
        self._evaluate = evaluator(spec)
        self._now_ns = now_ns
        self.state: ConditionState = initial(spec, now_ns, level=level, since_ns=since_ns)

    @property
    def is_at_rest(self) -> bool:
        """Whether a value within the limits leaves the state unchanged."""
        return self.state is AT_REST

    def take(self, value: Scalar, quality: int, given: int, now_ns: int) -> int:
        """Take in a reading and return the level. `given`: priority of an alarm that the device gives; 0: none."""
        self.set_back(now_ns)
        self.state = self._evaluate(self._spec, self.state, value, quality, given, now_ns)
        return self._level()

    def pass_time(self, now_ns: int) -> int:
        """The level at `now_ns` without a new reading."""
        self.set_back(now_ns)
        self.state = pass_condition(self._spec, self.state, now_ns)
        return self._level()

    def set_back(self, now_ns: int) -> None:
        """If the clock was set back, let the delays start again; otherwise they would last as long as the step."""
        if now_ns < self._now_ns:
            self.state = pass_condition(self._spec, set_back(self.state, now_ns), now_ns)
        self._now_ns = now_ns

    def reset(self) -> None:
        """Clear the condition because its channel is off."""
        self.state = AT_REST

    def _level(self) -> int:
        return severity.STALE if self.state.unknown else self.state.level


def spec_of(point: Point, definition: AlarmDefinition) -> ConditionSpec | None:
    """The condition of a point; None if its definition needs no memory. ValueError if it cannot be evaluated. A
    hysteresis that is wider than the range between the limits is cut; `check` reports it."""
    if not (definition.hysteresis or definition.on_delay_s or definition.off_delay_s or definition.count):
        return None
    if point.severity:
        return StateSpec(states=(False,), inside=False, priority=point.severity, **settling_of(definition))
    return limit_spec(point.limits, definition)
