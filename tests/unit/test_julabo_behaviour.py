"""The chiller's state is what its status number says, and its commands are legal where the table says."""

from __future__ import annotations

import pytest

from countingroom.core.charts.check import Severity, check
from countingroom.core.errors import OutOfRange
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.julabo.behaviour import CHART, JulaboBehaviour
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import points

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
    assert refused is not None and refused.code == "not_allowed"
    assert BEHAVIOUR.may_write("running", False, manual) is None


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
