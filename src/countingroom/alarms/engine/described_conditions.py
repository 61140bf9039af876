"""Makes evaluable conditions from the conditions that the description writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.alarms.conditions import Settling, alarm_limits, limit_spec, settling_of
from countingroom.alarms.sections.conditions import ConditionKeys, LimitCondition, RateCondition, StateCondition
from countingroom.core import severity
from countingroom.core.alarms.conditions.described import DescribedCondition, state_address
from countingroom.core.alarms.conditions.kinds import difference
from countingroom.core.alarms.conditions.specs import (
    DeviationSpec,
    ExpressionSpec,
    QualitySpec,
    RateSpec,
    StateSpec,
    UpdateSpec,
)
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.points import Limits
from countingroom.core.times import duration
from countingroom.core.values import Scalar

LEVEL = severity.LOW
"""The level of a condition without a priority."""
NO_MEMORY = AlarmDefinition(id="", title="")


def condition_of(keys: ConditionKeys, definition: AlarmDefinition = NO_MEMORY) -> DescribedCondition:
    """The evaluable condition. ConfigurationError for a wrong expression, ValueError if it cannot be evaluated for
    another reason."""
    settled = settling_of(definition)
    hysteresis = definition.hysteresis
    if (limit := keys.limit) is not None:
        text = f"{limit.point} is {_beyond(limit)}"
        limits = Limits(
            alarm_low=limit.alarm_low,
            warning_low=limit.warning_low,
            warning_high=limit.warning_high,
            alarm_high=limit.alarm_high,
        )
        return DescribedCondition(spec=limit_spec(limit, definition), inputs=(limit.point,), text=text, limits=limits)
    if (rate := keys.rate) is not None:
        high = alarm_limits((rate.rise / rate.per if rate.rise else None, LEVEL))
        low = alarm_limits((-rate.fall / rate.per if rate.fall else None, LEVEL))
        # Limits of a rate are in units per second; the hysteresis is in the unit of the point, as rise and fall are.
        back = hysteresis / rate.per
        back = min(back, high[0].value - low[0].value) if high and low else back
        spec = RateSpec(high=high, low=low, hysteresis=back, over_ns=round(rate.per * 1e9), **settled)
        return DescribedCondition(spec=spec, inputs=(rate.point,), text=_too_fast(rate))
    if (deviation := keys.deviation) is not None:
        point, setpoint = deviation.point, deviation.setpoint
        return DescribedCondition(
            spec=DeviationSpec(high=alarm_limits((deviation.more_than, LEVEL)), hysteresis=hysteresis, **settled),
            inputs=(point, setpoint),
            derive=lambda values: difference(values.get(point), values.get(setpoint)),
            text=f"{point} differs from {setpoint} by more than {deviation.more_than:g}",
        )
    if (quality := keys.quality) is not None:
        stale, bad, missing = (LEVEL if one in quality.qualities else 0 for one in ("stale", "bad", "missing"))
        return DescribedCondition(
            spec=QualitySpec(stale=stale, bad=bad, missing=missing, **settled),
            inputs=(quality.point,),
            text=f"{quality.point} has no usable value",
        )
    if (silence := keys.silence) is not None:
        return DescribedCondition(
            spec=UpdateSpec(
                after_ns=round(silence.longer_than * 1e9),
                priority=LEVEL,
                on_delay_ns=settled["on_delay_ns"],
                off_delay_ns=settled["off_delay_ns"],
            ),
            inputs=(silence.point,),
            text=f"{silence.point} got no new value for {duration(silence.longer_than)}",
        )
    if (expression := keys.expression) is not None:
        compiled = compile_expression(expression.text, expression.names)
        return DescribedCondition(
            spec=ExpressionSpec(expression=expression.text, names=expression.names, priority=LEVEL, **settled),
            inputs=tuple(compiled.references),
            derive=compiled.condition,
            text=f"{expression.text} is true",
        )
    if (state := keys.state) is not None:
        return _of_state(state, settled)
    raise ValueError("it has no condition")


def _of_state(state: StateCondition, settled: Settling) -> DescribedCondition:
    address = state_address(state.of)
    is_inside = bool(state.is_in)
    words = frozenset(state.is_in or state.not_in)

    def is_true(values: Mapping[str, Scalar]) -> Scalar:
        value = values.get(address)
        return None if value is None else bool(words & set(str(value).split("\n"))) is is_inside

    return DescribedCondition(
        spec=StateSpec(states=(True,), priority=LEVEL, **settled),
        inputs=(address,),
        derive=is_true,
        text=f"{state.of} is {'' if is_inside else 'not '}{', '.join(sorted(words))}",
    )


def _beyond(limit: LimitCondition) -> str:
    """The limits as text. Only the innermost ones are named, because they are reached first."""
    low = [one for one in (limit.warning_low, limit.alarm_low) if one is not None]
    high = [one for one in (limit.warning_high, limit.alarm_high) if one is not None]
    ways = [f"below {max(low):g}"] if low else []
    ways += [f"above {min(high):g}"] if high else []
    return " or ".join(ways)


def _too_fast(rate: RateCondition) -> str:
    ways = [f"{verb} by more than {most:g}" for verb, most in (("rises", rate.rise), ("falls", rate.fall)) if most]
    return f"{rate.point} {' or '.join(ways)} in {duration(rate.per)}"
