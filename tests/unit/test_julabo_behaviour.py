"""The chiller's state is what its status number says, and its commands are legal where the table says."""

from __future__ import annotations

import pytest

from countingroom.core.charts.check import Severity, check
from countingroom.core.errors import OutOfRange, Refused
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.julabo.behaviour import CHART, JulaboBehaviour
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.points import points

SECTION = JulaboSection(port="/dev/ttyUSB0")
BEHAVIOUR = JulaboBehaviour(SECTION)


def readings(**values: Scalar) -> dict[str, Reading]:
    return {
        name: Reading(value=value, quality=Quality.BAD if value is None else Quality.GOOD, device_ns=1, received_ns=1)
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("code", "state", "word"),
    [
        (2, "OFF", ""),
        (3, "ON", ""),
        (0, "ERROR", "manual"),
        (1, "ERROR", "manual"),
        (-1, "ERROR", "LOW LEVEL"),
        (-33, "ERROR", "-33"),
        (7, "ERROR", "not known"),
        (None, "ERROR", "cannot be read"),
    ],
)
def test_the_status_number_is_the_state_and_says_why(code: int | None, state: str, word: str) -> None:
    observed = BEHAVIOUR.observe_device({}, readings(status_code=code, status_text="LOW LEVEL ALARM"))
    assert observed.state == state
    assert (observed.cause is None) == (word == "")
    if observed.cause is not None:
        assert word in observed.cause.message and observed.cause.suggestion


def test_before_its_status_is_known_it_is_connected_and_nothing_more() -> None:
    assert BEHAVIOUR.observe_device({}, {}).state == "CONNECTED"


def test_start_is_legal_when_off_and_stop_when_on_or_in_error() -> None:
    legal = {
        event: {state for state in CHART.states if event in CHART.allowed(state)} for event in ("cmd_on", "cmd_off")
    }
    assert legal == {"cmd_on": {"OFF"}, "cmd_off": {"ON", "ERROR"}}


@pytest.mark.parametrize(
    ("command", "arguments", "write"),
    [
        ("start", {}, Write(point="running", value=True)),
        ("stop", {}, Write(point="running", value=False)),
        ("use_external", {}, Write(point="ext_is_used", value=True)),
        ("use_internal", {}, Write(point="ext_is_used", value=False)),
        ("use_setpoint", {"setpoint": 2}, Write(point="used_setpoint", value=2)),
        ("set_working_temperature", {"setpoint": 3, "temp": -12.5}, Write(point="setpoint_3", value=-12.5)),
        ("set_pressure", {"press": 2}, Write(point="pressure_stage", value=2, confirm=False)),
    ],
)
def test_a_command_is_one_write(command: str, arguments: dict[str, Scalar], write: Write) -> None:
    assert command in {spec.name for spec in BEHAVIOUR.commands}
    assert BEHAVIOUR.writes(command, "", arguments, {}) == (write,)


def test_a_working_temperature_without_a_temperature_is_refused() -> None:
    with pytest.raises(OutOfRange, match="temp"):
        BEHAVIOUR.writes("set_working_temperature", "", {"setpoint": 1}, {})


@pytest.mark.parametrize(("value", "fits"), [(-50.0, True), (-50.01, False), (49.99, True), (50.0, False)])
def test_setpoints_are_at_least_minus_50_and_below_50(value: float, fits: bool) -> None:
    point = next(point for point in points(SECTION) if point.name == "setpoint_1")
    if fits:
        assert point.check_write(value) == value
    else:
        with pytest.raises(OutOfRange, match="setpoint_1"):
            point.check_write(value)


def test_setting_running_by_hand_is_as_legal_as_the_command() -> None:
    manual = readings(status_code=1, status_text="MANUAL START")
    assert BEHAVIOUR.may_write("running", True, readings(status_code=2)) is None
    refused = BEHAVIOUR.may_write("running", True, manual)
    assert refused is not None and refused.code == "manual_control"
    assert BEHAVIOUR.may_write("running", False, readings(status_code=-3)) is None


def test_settings_are_applied_to_a_chiller_that_stands_still_only() -> None:
    section = JulaboSection.model_validate(
        {"port": "x", "apply_on_connect": True, "settings": {"setpoint_1": -20, "pressure_stage": 2}}
    )
    behaviour = JulaboBehaviour(section)
    assert behaviour.settings() == (
        Write(point="setpoint_1", value=-20.0),
        Write(point="pressure_stage", value=2, confirm=False),
    )
    assert behaviour.may_apply("", readings(running=False)) is None
    for unsafe in (readings(running=True), readings(running=None), {}):
        assert behaviour.may_apply("", unsafe) is not None


def test_its_chart_has_nothing_wrong() -> None:
    assert [finding for finding in check(CHART) if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize("code", [0, 1])
def test_in_manual_control_everything_is_refused_at_once_with_the_reason(code: int) -> None:
    manual = readings(status_code=code, status_text="MANUAL STOP")
    for point in ("running", "setpoint_1", "used_setpoint", "ext_is_used", "pressure_stage"):
        cause = BEHAVIOUR.may_write(point, 1, manual)
        assert cause is not None and cause.code == "manual_control" and "MANUAL STOP" in cause.message
    with pytest.raises(Refused, match="manual control"):
        BEHAVIOUR.writes("set_working_temperature", "", {"setpoint": 1, "temp": 5.0}, manual)
    cause = BEHAVIOUR.may_apply("", {**manual, **readings(running=False)})
    assert cause is not None and cause.code == "manual_control"


@pytest.mark.parametrize(
    ("keys", "low", "high"),
    [
        ({}, -50.0, 49.99),
        ({"setpoint_low": 5, "setpoint_high": 200}, 5.0, 200.0),
        ({"points": {"setpoint_*": {"write_low": -80, "write_high": 150}}}, -80.0, 150.0),
        ({"points": {"setpoint_2": {"write_high": 90}, "no_such": {"write_low": 1}}}, -50.0, 90.0),
    ],
)
def test_the_limits_of_a_setpoint_are_those_of_its_command(keys: dict[str, object], low: float, high: float) -> None:
    behaviour = JulaboBehaviour(JulaboSection.model_validate({"port": "x", **keys}))
    spec = next(spec for spec in behaviour.commands if spec.name == "set_working_temperature")
    temp = next(parameter for parameter in spec.parameters if parameter.name == "temp")
    assert (temp.low, temp.high) == (low, high)


def test_settings_outside_the_limits_of_the_section_are_told() -> None:
    section = JulaboSection.model_validate({"port": "x", "setpoint_high": 40, "settings": {"setpoint_1": 45}})
    assert [path for path, _ in section.problems()] == [("settings", "setpoint_1")]
    turned = JulaboSection.model_validate({"port": "x", "setpoint_low": 60})
    assert ("setpoint_high",) in [path for path, _ in turned.problems()]


@pytest.mark.parametrize("code", [-8, -9, -10, -11, -13])
def test_a_refusal_in_the_status_is_no_fault_of_the_chiller(code: int) -> None:
    assert BEHAVIOUR.observe_device({}, readings(status_code=code, running=True)).state == "ON"
    assert BEHAVIOUR.observe_device({}, readings(status_code=code)).state == "CONNECTED"


def test_a_bath_whose_status_has_no_number_is_seen_by_whether_it_runs() -> None:
    assert BEHAVIOUR.observe_device({}, readings(status_code=None, status_text="Hello", running=True)).state == "ON"
    nonsense = readings(status_code=None, running=True) | {
        "status_text": Reading(value="?#", quality=Quality.UNCERTAIN, device_ns=1, received_ns=1)
    }
    assert BEHAVIOUR.observe_device({}, nonsense).state == "ERROR"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "setpoint_low and setpoint_high of the bath are not given: setpoints from -50 to 49.99 degC are sent"),
        ({"setpoint_low": 5}, "setpoint_high of the bath is not given: setpoints from 5 to 49.99 degC are sent"),
        ({"setpoint_low": 5, "setpoint_high": 200}, ""),
    ],
)
def test_limits_of_the_bath_that_are_not_given_are_a_warning(given: dict[str, float], told: str) -> None:
    section = JulaboSection.model_validate({"port": "x", **given})
    assert [message.partition(";")[0] for _, message in section.warnings()] == ([told] if told else [])
