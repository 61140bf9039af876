"""The simulated outputs do what real ones do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.simulators.caen_physics import (
    AMBIENT_C,
    OFF,
    ON,
    RAMP_DOWN,
    RAMP_UP,
    TRIPPED,
    HighVoltage,
    LowVoltage,
)


def run(output: HighVoltage | LowVoltage, seconds: float, dt_s: float = 0.1) -> None:
    for _ in range(round(seconds / dt_s)):
        output.step(dt_s)


def test_high_voltage_rises_and_falls_at_its_speeds() -> None:
    hv = HighVoltage({"V0Set": 200.0, "RUp": 50.0, "RDWn": 100.0})
    hv.switch(True)
    run(hv, 2)
    assert hv.volts == pytest.approx(100)
    assert hv.status == RAMP_UP
    run(hv, 2.1)
    assert (hv.volts, hv.status) == (pytest.approx(200), ON)
    hv.switch(False)
    run(hv, 1)
    assert hv.volts == pytest.approx(100)
    assert hv.status == RAMP_DOWN
    run(hv, 1.1)
    assert (hv.volts, hv.status) == (0.0, OFF)


def test_over_current_trips_after_the_trip_time_and_not_before() -> None:
    hv = HighVoltage({"Trip": 3.0, "I0Set": 10.0})
    hv.switch(True)
    run(hv, 5)
    hv.extra_current = 20.0
    run(hv, 2.5)
    assert hv.status == 9
    run(hv, 1)
    assert (hv.status, hv.volts, hv.switched_on) == (TRIPPED, 0.0, False)


def test_trip_mode_ramp_goes_down_at_the_usual_speed() -> None:
    hv = HighVoltage({"PDwn": 1, "RDWn": 50.0})
    hv.switch(True)
    run(hv, 5)
    hv.trip()
    run(hv, 2)
    assert hv.volts == pytest.approx(100)
    run(hv, 3)
    assert hv.volts == 0.0


def test_a_tripped_output_stays_off_until_it_is_cleared() -> None:
    hv = HighVoltage({})
    hv.trip()
    hv.switch(True)
    assert hv.status == TRIPPED
    hv.clear()
    assert hv.status == OFF
    hv.switch(True)
    run(hv, 1)
    assert hv.volts > 0


def test_a_board_warms_slowly_while_it_feeds() -> None:
    lv = LowVoltage({"V0Set": 12.0})
    lv.switch(True)
    run(lv, 1)
    soon = lv.celsius
    run(lv, 300)
    assert AMBIENT_C < soon < AMBIENT_C + 1
    assert lv.celsius > AMBIENT_C + 8
    lv.switch(False)
    run(lv, 600)
    assert lv.celsius == pytest.approx(AMBIENT_C, abs=0.1)


def test_a_voltage_above_the_threshold_trips() -> None:
    lv = LowVoltage({"V0Set": 14.0, "OVVThr": 13.0})
    lv.switch(True)
    run(lv, 1)
    assert lv.status == 16
    assert not lv.switched_on


@given(
    st.lists(st.tuples(st.sampled_from(["on", "off", "trip", "clear", "step", "set"]), st.floats(0, 5)), max_size=40)
)
def test_whatever_happens_voltage_stays_between_zero_and_the_greatest_set(events: list[tuple[str, float]]) -> None:
    hv, greatest, noise = HighVoltage({}), 200.0, random.Random(3)
    for what, amount in events:
        match what:
            case "on" | "off":
                hv.switch(what == "on")
            case "trip":
                hv.trip()
            case "clear":
                hv.clear()
            case "set":
                hv.settings["V0Set"] = amount * 100
                greatest = max(greatest, amount * 100)
            case _:
                hv.step(amount)
        assert 0.0 <= hv.volts <= greatest + 1e-6
        assert hv.measured(noise)["Status"] in {0, 1, 3, 5, 9, 11, 13, TRIPPED}
