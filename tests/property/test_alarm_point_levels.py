"""A point without delays is judged by the rule of severities, one with them by its condition: both give one meaning."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countingroom.alarms.conditions import limit_spec
from countingroom.alarms.engine.device_alarms import DeviceAlarms
from countingroom.core import severity
from countingroom.core.alarms.conditions.kinds import evaluator, initial
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import Catalogue, Readings
from countingroom.core.points import Limits, Point
from countingroom.core.values import Quality, Scalar

PLAIN = AlarmDefinition(id="point.chiller.bath", title="Chiller / Bath")
NUMBERS = st.integers(-5, 5).map(float)
READING = st.tuples(
    st.one_of(NUMBERS, st.integers(-5, 5), st.none(), st.just(float("nan"))),
    st.sampled_from(list(Quality)),
    st.integers(0, 3),
)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    names = ("alarm_low", "warning_low", "warning_high", "alarm_high")
    values = sorted(draw(st.lists(NUMBERS, min_size=4, max_size=4)))
    chosen = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    return Limits(**{name: value for name, value, is_given in zip(names, values, chosen, strict=True) if is_given})


def message(number: int, value: Scalar, quality: Quality, given_: int) -> Readings:
    return Readings(
        device="chiller",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=number,
        points=["bath"],
        values=[value],
        qualities=[int(quality)],
        device_ns=[number],
        received_ns=[number],
        alarms={"bath": given_} if given_ else {},
    )


@given(limits(), st.lists(READING, max_size=12))
def test_both_evaluations_of_limits_give_the_same_levels(
    given_limits: Limits, readings: list[tuple[Scalar, Quality, int]]
) -> None:
    point = Point(name="bath", limits=given_limits)
    device = DeviceAlarms("chiller")
    list(device.learn(Catalogue(device="chiller", title="Chiller", driver="x", group="g", points=(point,)), 0))
    spec = limit_spec(given_limits, PLAIN)
    evaluate, state = evaluator(spec), initial(spec, 0)
    shown, is_unknown = severity.NORMAL, True
    for number, (value, quality, given_alarm) in enumerate(readings, 1):
        for _, finding in device.read(message(number, value, quality, given_alarm), number):
            is_unknown = finding.unknown
            shown = shown if finding.unknown else finding.level
        state = evaluate(spec, state, value, int(quality), given_alarm, number)
        assert shown == state.level
        assert is_unknown is state.unknown or shown == severity.NORMAL
