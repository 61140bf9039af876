"""One rule says how bad a reading or a state is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core import severity
from countingroom.core.messages import DeviceState, Link
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality

LIMITED = Point(
    name="i",
    label="I mon",
    unit="uA",
    limits=Limits(alarm_low=-5.0, warning_low=-1.0, warning_high=9.0, alarm_high=10.0),
)
FLAG = Point(name="trip", type=Type.BOOL, severity=1, description="Channel tripped")


def state(**changes: object) -> DeviceState:
    told = {"device": "caen", "state": "HV_ON", "common": "on", "link": Link.CONNECTED, "since_ns": 1} | changes
    return DeviceState(**told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "level"), [(0.0, 0), (9.0, 0), (9.01, 3), (10.0, 3), (10.01, 2), (-1.5, 3), (-5.5, 2)]
)
def test_limits_are_inside_and_crossing_them_gives_their_priority(value: float, level: int) -> None:
    assert severity.of_reading(LIMITED, value, Quality.GOOD) == level


@given(value=st.floats(allow_nan=False) | st.booleans() | st.text(), quality=st.sampled_from(Quality))
def test_every_reading_has_a_level_and_old_ones_are_stale(value: float | bool | str, quality: Quality) -> None:
    level = severity.of_reading(LIMITED, value, quality)
    assert level == severity.STALE if quality >= Quality.STALE else level in (0, 2, 3)


def test_a_setting_that_cannot_be_read_back_is_nothing_abnormal() -> None:
    assert severity.of_reading(Point(name="stage", writable=True), None, Quality.BAD) == severity.NORMAL
    assert severity.of_reading(Point(name="sensor"), None, Quality.BAD) == severity.STALE


def test_a_fault_flag_has_the_priority_of_its_point_while_it_is_true() -> None:
    assert severity.of_reading(FLAG, True, Quality.GOOD) == 1
    assert severity.of_reading(FLAG, False, Quality.GOOD) == 0
    assert severity.why(FLAG, True) == "Channel tripped"


def test_the_worst_comes_first_and_stale_stands_between_normal_and_alarm() -> None:
    assert sorted(range(5), key=severity.urgency, reverse=True) == [1, 2, 3, 4, 0]


def test_a_state_in_error_is_high_a_lost_link_medium_and_an_inactive_channel_nothing() -> None:
    assert severity.of_state(state()) == 0
    assert severity.of_state(state(common="error")) == 1
    assert severity.of_state(state(common="no_link", link=Link.DISCONNECTED)) == 2
    assert severity.of_state(state(common="error", active=False)) == 0


def test_the_sentence_names_value_limit_and_unit() -> None:
    assert severity.why(LIMITED, 11.82) == "I mon 11.82 uA is above its alarm limit 10.00 uA"
    assert severity.why(LIMITED, -2.0) == "I mon -2.00 uA is below its warning limit -1.00 uA"


def test_an_alarm_of_the_device_counts_where_it_is_more_urgent_than_the_limits() -> None:
    assert severity.of_reading(Point(name="p"), 1.0, Quality.UNCERTAIN, 2) == severity.MEDIUM
    assert severity.of_reading(Point(name="p"), "text", Quality.UNCERTAIN, 3) == severity.LOW
    assert severity.of_reading(Point(name="p"), 1.0, Quality.STALE, 2) == severity.STALE
    limited = Point(name="p", limits=Limits(warning_high=0.0, alarm_high=10.0))
    assert severity.of_reading(limited, 1.0, Quality.GOOD, 2) == severity.MEDIUM
    assert severity.of_reading(limited, 11.0, Quality.GOOD, 3) == severity.MEDIUM
    reason = "HIGH alarm of the IOC (minor)"
    assert severity.why(Point(name="p"), 1.0, reason=reason) == "p 1.00: HIGH alarm of the IOC (minor)"
    assert severity.why(limited, 11.0, reason=reason) == "p 11.00 is above its alarm limit 10.00"
