"""Every combination of status and start bits is a state of the table, dangerous ones an alarm with its cause."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.charts.check import Severity, check
from countingroom.core.errors import NotAllowed, OutOfRange
from countingroom.core.units import is_unit
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.marta.alarms import summary, text_of
from countingroom.devices.drivers.marta.behaviour import CHART, MartaBehaviour
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.names import composed_text, severity_of, unit_of
from countingroom.devices.drivers.marta.points import alarm_bits, points
from tests.input_files import DATA

SECTION = MartaSection(host="10.0.0.3")
BEHAVIOUR = MartaBehaviour(SECTION)
POINTS = {point.name: point for point in points(SECTION)}


def readings(status: Scalar, *, chiller: Scalar = False, co2: Scalar = False, **more: Scalar) -> dict[str, Reading]:
    values: Mapping[str, Scalar] = {"status": status, "set_start_chiller": chiller, "set_start_co2": co2, **more}
    return {
        name: Reading(value=value, quality=Quality.BAD if value is None else Quality.GOOD, device_ns=1, received_ns=1)
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("status", "chiller", "co2", "state"),
    [
        (1, False, False, "CONNECTED"),
        (1, True, False, "CHILLER_RUNNING"),
        (1, True, True, "CO2_RUNNING"),
        (2, True, True, "CO2_RUNNING"),
        (2, True, False, "CHILLER_RUNNING"),
        (2, False, False, "CONNECTED"),
        (3, False, False, "ALARM"),
        (3, True, True, "ALARM"),
    ],
)
def test_status_and_start_bits_are_the_state(status: int, chiller: bool, co2: bool, state: str) -> None:
    assert BEHAVIOUR.observe_device({}, readings(status, chiller=chiller, co2=co2)).state == state


@pytest.mark.parametrize("status", [0, 1, 2, None])
def test_co2_without_chiller_is_an_alarm_that_says_so_and_ends_nothing(status: int | None) -> None:
    observed = BEHAVIOUR.observe_device({}, readings(status, co2=True))
    assert observed.state == "ALARM"
    assert observed.cause is not None and observed.cause.code == "co2_without_chiller"
    assert "cmd_clear_alarms" in CHART.allowed(observed.state)


@given(st.none() | st.integers(-1, 70000), st.none() | st.booleans(), st.none() | st.booleans())
def test_no_combination_is_without_a_state(status: int | None, chiller: bool | None, co2: bool | None) -> None:
    observed = BEHAVIOUR.observe_device({}, readings(status, chiller=chiller, co2=co2))
    assert observed.state in CHART.states
    assert (observed.state == "ALARM") <= (observed.cause is not None)


def test_an_alarm_names_what_raised_it_gravest_first() -> None:
    observed = BEHAVIOUR.observe_device({}, readings(3, PT04_CO2_HP_W=True, CP_LP_FS=True, EB_FS=False))
    assert observed.cause is not None
    assert [cause.source for cause in observed.cause.causes] == ["CP_LP_FS", "PT04_CO2_HP_W"]
    assert observed.cause.message == "Full stop: compressor low pressure"


def test_commands_are_legal_where_the_plant_takes_them() -> None:
    legal = {
        spec.name: {state for state in CHART.states if spec.event in CHART.allowed(state)}
        for spec in BEHAVIOUR.commands
        if spec.event
    }
    assert legal == {
        "start_chiller": {"CONNECTED"},
        "start_co2": {"CHILLER_RUNNING"},
        "stop_co2": {"CO2_RUNNING"},
        "stop_chiller": {"CHILLER_RUNNING"},
        "clear_alarms": {"ALARM"},
    }


def test_clearing_alarms_switches_off_first_so_that_nothing_restarts() -> None:
    sent = [(write.point, write.value) for write in BEHAVIOUR.writes("clear_alarms", "", {}, {})]
    assert sent == [
        ("set_start_co2", False),
        ("set_start_chiller", False),
        ("set_alarm_reset", True),
        ("set_alarm_reset", False),
    ]


def test_a_setting_command_is_one_write_and_needs_its_value() -> None:
    assert BEHAVIOUR.writes("set_temperature_setpoint", "", {"temperature": -15.5}, {}) == (
        Write(point="set_temperature_setpoint", value=-15.5),
    )
    assert BEHAVIOUR.writes("set_flow_active", "", {"active": 1}, {}) == (Write(point="set_flow_active", value=True),)
    with pytest.raises(OutOfRange, match="speed"):
        BEHAVIOUR.writes("set_speed_setpoint", "", {"speed": None}, {})


@pytest.mark.parametrize(
    ("point", "low", "high"),
    [
        ("set_temperature_setpoint", -35, 25),
        ("set_speed_setpoint", 0, 6000),
        ("set_flow_setpoint", 0, 5),
    ],
)
def test_point_and_command_have_one_and_the_same_range(point: str, low: float, high: float) -> None:
    assert (POINTS[point].write_low, POINTS[point].write_high) == (low, high)
    (parameter,) = next(spec for spec in BEHAVIOUR.commands if spec.name == point).parameters
    assert (parameter.low, parameter.high) == (low, high)
    with pytest.raises(OutOfRange):
        POINTS[point].check_write(high + 0.1)


def test_a_start_bit_set_by_hand_is_as_legal_as_its_command() -> None:
    assert BEHAVIOUR.may_write("set_start_chiller", True, readings(1)) is None
    refused = BEHAVIOUR.may_write("set_start_co2", True, readings(1))
    assert refused is not None and refused.code == "not_allowed"
    assert BEHAVIOUR.may_write("set_start_chiller", False, readings(2, chiller=True, co2=True)) is not None
    assert BEHAVIOUR.may_write("set_start_co2", False, readings(3, co2=True)) is None
    assert BEHAVIOUR.may_write("set_temperature_setpoint", 3.0, readings(3)) is None


@pytest.mark.parametrize(
    ("chiller", "co2", "code"), [(False, False, None), (True, False, "would_restart"), (None, False, "would_restart")]
)
def test_an_alarm_reset_by_hand_starts_nothing_again(chiller: Scalar, co2: Scalar, code: str | None) -> None:
    refused = BEHAVIOUR.may_write("set_alarm_reset", True, readings(3, chiller=chiller, co2=co2))
    assert (refused.code if refused else None) == code
    assert BEHAVIOUR.may_write("set_alarm_reset", False, readings(3, chiller=True)) is None


def test_a_start_bit_that_is_on_its_way_counts_before_the_plant_shows_it() -> None:
    """No chiller is stopped under CO2 that was started a moment before, no CO2 started on a chiller that stops."""
    with pytest.raises(NotAllowed, match=r"stop_chiller is not allowed in CO2_RUNNING; allowed: stop_co2$"):
        BEHAVIOUR.writes("stop_chiller", "", {}, readings(1, chiller=True, co2=True))
    with pytest.raises(NotAllowed, match="CONNECTED"):
        BEHAVIOUR.writes("start_co2", "", {}, readings(1, chiller=False))
    again = BEHAVIOUR.writes("stop_co2", "", {}, readings(1, chiller=True, co2=False))
    assert again == (Write(point="set_start_co2", value=False),)


def test_settings_are_applied_to_a_plant_at_rest_only() -> None:
    assert BEHAVIOUR.may_apply("", readings(1)) is None
    for unsafe in (readings(1, chiller=True), readings(3), readings(2), readings(7)):
        assert BEHAVIOUR.may_apply("", unsafe) is not None


def test_an_alarm_bit_without_words_is_told_from_its_name() -> None:
    codes = {"EB_FS": "Error: Emergency button pressed", "CP_Cnt_FS": "?"}
    assert summary(["CP_LP_FS", "EB_FS", "CP_Cnt_FS"], codes).splitlines() == [
        "Full stop: compressor low pressure (CP_LP_FS)",
        "Error: Emergency button pressed (EB_FS)",
        "Full stop: compressor contactor (CP_Cnt_FS)",
    ]


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_every_name_has_words(name: str, codes: dict[str, str]) -> None:
    assert text_of(name, codes).strip() or codes.get(name, "").strip()
    assert composed_text(name)


def test_no_alarm_is_an_empty_text() -> None:
    assert summary([], {}) == ""


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("PT01_CO2", "bar"),
        ("TT05_CO2", "degC"),
        ("ST04_CO2_calc", "degC"),
        ("SC01_CO2_calc", "K"),
        ("SH03_R452A_calc", "K"),
        ("DT03_CO2_calc", "K"),
        ("DP_EV3C_CO2_calc", "bar"),
        ("FT01_CO2", "g/s"),
        ("EV3C_valve_pos", "percent"),
        ("LP_speed", "rpm"),
        ("speed_setpoint", "rpm"),
        ("set_flow_setpoint", "g/s"),
        ("TC04_TSP", "degC"),
        ("status", ""),
    ],
)
def test_a_name_says_its_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit
    assert POINTS[name].unit == unit


def test_every_alarm_bit_has_a_severity_and_a_description() -> None:
    bits = alarm_bits(SECTION)
    assert len(bits) == 49
    assert all(POINTS[name].severity == severity_of(name) > 0 and POINTS[name].description for name in bits)
    assert {severity_of(name) for name in bits} == {1, 2, 3}


def test_accumulator_pressure_and_pump_inlet_pressure_are_two_points() -> None:
    assert SECTION.registers["PT01_CO2"].address == 106
    assert SECTION.registers["PT04_CO2"].address == 112


def _published(shared_data: Path) -> dict[str, Any]:
    return yaml.safe_load((shared_data / "slow-control" / "marta_registers.yml").read_text())


def _own() -> dict[str, Any]:
    return yaml.safe_load((DATA / "slow_control" / "plant_registers.yaml").read_text())


def test_a_published_register_file_is_taken_unchanged_and_equals_the_table_that_ships(shared_data: Path) -> None:
    section = MartaSection.model_validate({"host": "10.0.0.3", **_published(shared_data)})
    assert len(section.registers) == 111
    assert section.registers == SECTION.registers
    assert len(points(section)) == 112


def test_the_registers_of_another_plant_are_taken_unchanged_in_place_of_those_that_ship() -> None:
    file = _own()
    section = MartaSection.model_validate({"host": "10.0.0.3", **file})
    assert list(section.registers) == list(file["registers"])
    for name, register in section.registers.items():
        written = file["registers"][name]
        assert {key: getattr(register, key) for key in written} == written, name
    assert len(points(section)) == len(file["registers"]) + 1
    assert not list(section.problems())


def test_every_bit_of_a_published_register_file_has_words(shared_data: Path) -> None:
    section = MartaSection.model_validate({"host": "10.0.0.3", **_published(shared_data)})
    lines = summary(alarm_bits(section), section.alarm_codes).splitlines()
    assert len(lines) == 49
    assert not any(line.startswith("?") for line in lines)
    assert "Error: Emergency button pressed (EB_FS)" in lines


def test_a_bit_without_a_text_of_its_own_is_described_by_its_name() -> None:
    section = MartaSection.model_validate({"host": "10.0.0.3", **_own()})
    lines = summary(alarm_bits(section), section.alarm_codes).splitlines()
    assert len(lines) == 7
    assert "Error: stop button beside the plant pressed (EB_FS)" in lines
    assert "Full stop: compressor circuit breaker (CP_CB_FS)" in lines, "a question mark is no text"
    assert "Warning: SC01 CO2 (SC01_CO2_W)" in lines, "no text is no text"


def test_a_table_that_is_no_plant_is_told_what_it_lacks() -> None:
    table = {"status": {"address": 320}, "set_start_co2": {"address": 305, "type": "bool", "bit": 1}}
    section = MartaSection.model_validate({"host": "h", "registers": table})
    told = [message for _, message in section.problems()]
    assert len(told) == 7 and "set_start_chiller" in told[0] and "input: true" in told[1]
    assert not list(SECTION.problems())


def test_its_chart_has_nothing_wrong() -> None:
    assert [finding for finding in check(CHART) if finding.severity is Severity.ERROR] == []


def test_its_units_are_units() -> None:
    for point in POINTS.values():
        assert is_unit(point.unit), point
