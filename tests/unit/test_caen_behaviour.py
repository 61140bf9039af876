"""The states and commands of the power supply, and the right behaviour where its predecessor erred."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Any

import pytest

from countingroom.core.charts.aggregates import prove
from countingroom.core.charts.check import Severity, check
from countingroom.core.errors import NotAllowed, RequestError
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.caen.behaviour import CaenBehaviour
from countingroom.devices.drivers.caen.build import variables
from countingroom.devices.drivers.caen.charts import CHANNEL, SUPPLY, WHOLE
from countingroom.devices.drivers.caen.columns import status_text
from countingroom.devices.drivers.caen.description import CaenSection

CHANNEL_STATES = list(CHANNEL.states)


def section(active: int = 3, inactive: int = 0, **more: Any) -> CaenSection:
    channels = {
        str(n): {
            "lv": {"board": 0, "chan": n},
            "hv": {"board": 12, "chan": n},
            **({"module": f"module_{n}"} if n < active else {}),
        }
        for n in range(active + inactive)
    }
    return CaenSection.model_validate({"driver": "caen", "channels": channels, **more})


def reading(value: Scalar, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(value=value, quality=quality, device_ns=1, received_ns=2)


def readings(*channels: tuple[int | None, int | None]) -> dict[str, Reading]:
    """LV and HV status word of channel 0, 1, 2 …"""
    found: dict[str, Reading] = {}
    for n, (lv, hv) in enumerate(channels):
        for side, status in (("lv", lv), ("hv", hv)):
            if status is not None:
                found[f"{n}.{side}_status"] = reading(status)
                found[f"{n}.{side}_pw"] = reading(status & 1)
    return found


@pytest.mark.parametrize(
    ("lv", "hv", "state"),
    [
        (0, 0, "LV_OFF"),
        (1, 0, "LV_ON"),
        (1, 1, "HV_ON"),
        (1, 3, "HV_RAMP"),
        (1, 5, "HV_RAMP"),
        (1, 2, "LV_ON"),
        (1, 6, "ERROR"),
        (1, 9, "ERROR"),
        (1, 512, "ERROR"),
        (2, 0, "ERROR"),
        (512, 0, "ERROR"),
        (0, 1, "ERROR"),
        (0, 3, "ERROR"),
        (0, 5, "ERROR"),
        (None, 0, "CONNECTED"),
        (1, None, "CONNECTED"),
    ],
)
def test_a_channel_is_what_its_status_words_say(lv: int | None, hv: int | None, state: str) -> None:
    assert CaenBehaviour(section()).observe_channel("0", readings((lv, hv))).state == state


def test_every_pair_of_status_words_has_a_state_of_the_chart() -> None:
    behaviour = CaenBehaviour(section())
    for lv in range(17):
        for hv in range(17):
            seen = behaviour.observe_channel("0", readings((lv, hv)))
            assert seen.state in CHANNEL.states
            assert (seen.cause is not None) == (seen.state == "ERROR")
            if hv & 1 and not lv & 1:
                assert seen.state == "ERROR"


def test_hv_on_with_lv_off_is_an_error_of_that_channel_and_says_how_to_end_it() -> None:
    behaviour = CaenBehaviour(section())
    seen = behaviour.observe_channel("1", readings((1, 1), (0, 1), (1, 1)))
    assert seen.state == "ERROR"
    assert seen.cause is not None
    assert seen.cause.code == "hv_without_lv"
    assert "hv_off" in seen.cause.suggestion
    assert "hv_off" in CHANNEL.allowed("ERROR")
    assert behaviour.observe_channel("0", readings((1, 1), (0, 1), (1, 1))).state == "HV_ON"


def test_a_channel_with_a_lost_variable_is_disconnected_and_names_it() -> None:
    now = readings((1, 0))
    now["0.hv_vMon"] = reading(12.0, Quality.STALE)
    seen = CaenBehaviour(section()).observe_channel("0", now)
    assert seen.state == "DISCONNECTED"
    assert seen.cause is not None
    assert "0.hv_vMon" in seen.cause.message


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ("ERROR DISCONNECTED LV_OFF", "ERROR"),
        ("DISCONNECTED LV_OFF HV_ON", "DISCONNECTED"),
        ("CONNECTED CONNECTED", "CONNECTED"),
        ("LV_OFF LV_OFF", "LV_OFF"),
        ("LV_OFF HV_ON", "ERROR"),
        ("LV_OFF HV_RAMP", "ERROR"),
        ("LV_OFF LV_ON", "LV_MIX"),
        ("LV_OFF LV_ON HV_ON", "ERROR"),
        ("LV_ON LV_ON", "LV_ON"),
        ("HV_ON HV_ON", "HV_ON"),
        ("HV_RAMP HV_ON", "HV_RAMP"),
        ("HV_RAMP LV_ON", "HV_RAMP"),
        ("LV_ON HV_ON", "HV_MIX"),
        ("CONNECTED LV_OFF", "CONNECTED"),
        ("CONNECTED HV_ON", "CONNECTED"),
        ("", "NO_CHANNELS"),
    ],
)
def test_the_supply_is_what_its_channels_are(states: str, whole: str) -> None:
    named = {str(n): state for n, state in enumerate(states.split())}
    assert CaenBehaviour(section()).observe_device(named, {}).state == whole


def test_every_mix_of_channel_states_has_an_answer_of_the_chart() -> None:
    proof = prove(WHOLE, CHANNEL_STATES, up_to=len(CHANNEL_STATES))
    assert proof.complete
    assert proof.left_to_else == ()
    assert not proof.never
    assert not proof.unknown
    assert set(WHOLE.states) <= set(SUPPLY.states)


@pytest.mark.parametrize("chart", [CHANNEL, SUPPLY])
def test_the_charts_are_sound(chart: Any) -> None:
    assert [str(finding) for finding in check(chart) if finding.severity is Severity.ERROR] == []


def legal(chart: Any, command: str) -> set[str]:
    return {state for state in chart.states if command in chart.allowed(state)}


def test_commands_are_legal_exactly_where_they_should_be() -> None:
    assert legal(CHANNEL, "lv_on") == {"LV_OFF"}
    assert legal(CHANNEL, "lv_off") == {"LV_ON"}
    assert legal(CHANNEL, "hv_on") == {"LV_ON"}
    assert legal(CHANNEL, "hv_off") == {"HV_ON", "HV_RAMP", "ERROR"}
    assert legal(SUPPLY, "all_lv_on") == {"LV_OFF", "LV_MIX"}
    assert legal(SUPPLY, "all_lv_off") == {"LV_ON", "LV_MIX"}
    assert legal(SUPPLY, "all_hv_on") == {"LV_ON", "HV_MIX", "HV_RAMP"}
    assert legal(SUPPLY, "all_hv_off") == {"HV_ON", "HV_MIX", "HV_RAMP", "ERROR"}
    assert legal(SUPPLY, "clear_alarms") == {"ERROR"}


def test_every_command_has_its_event_in_the_chart_of_its_scope() -> None:
    for command in CaenBehaviour(section()).commands:
        chart = CHANNEL if command.scope == "channel" else SUPPLY
        assert legal(chart, command.event), command.name
        assert set(command.done_in) <= set(chart.states)


def written(writes: tuple[Write, ...]) -> Mapping[str, Scalar]:
    return {write.point: write.value for write in writes}


@pytest.mark.parametrize(
    ("command", "now", "write"),
    [
        ("lv_on", (0, 0), ("1.lv_pw", 1)),
        ("lv_off", (1, 0), ("1.lv_pw", 0)),
        ("hv_on", (1, 0), ("1.hv_pw", 1)),
        ("hv_off", (1, 1), ("1.hv_pw", 0)),
    ],
)
def test_a_command_to_one_channel_acts_on_that_channel_alone(
    command: str, now: tuple[int, int], write: tuple[str, int]
) -> None:
    assert written(CaenBehaviour(section()).writes(command, "1", {}, readings(now, now, now))) == dict([write])


@pytest.mark.parametrize(("command", "switch"), [("lv_off", {"0.hv_pw": 1}), ("hv_on", {"0.lv_pw": 0})])
def test_the_low_voltage_stays_on_under_a_high_voltage_that_is_about_to_come(
    command: str, switch: dict[str, int]
) -> None:
    """The switches have been moved, the status words do not show it yet."""
    behaviour = CaenBehaviour(section(active=2))
    now = readings((1, 0), (1, 0)) | {name: reading(value) for name, value in switch.items()}
    with pytest.raises(RequestError, match="channel 0"):
        behaviour.writes(command, "0", {}, now)
    assert [write.point[0] for write in behaviour.writes(f"all_{command}", "", {}, now)] == ["1"]


def test_a_command_to_all_acts_on_the_active_channels_whose_state_allows_it() -> None:
    behaviour = CaenBehaviour(section(active=3, inactive=1))
    now = readings((1, 0), (1, 1), (1, 512), (1, 0))
    assert written(behaviour.writes("all_hv_on", "", {}, now)) == {"0.hv_pw": 1}
    assert written(behaviour.writes("all_hv_off", "", {}, now)) == {"1.hv_pw": 0, "2.hv_pw": 0}


def test_a_command_to_all_that_suits_none_is_refused() -> None:
    with pytest.raises(NotAllowed):
        CaenBehaviour(section()).writes("all_hv_on", "", {}, readings((1, 3), (1, 3), (1, 1)))


def test_all_writes_of_a_fan_out_go_without_waiting_for_each_other() -> None:
    writes = CaenBehaviour(section()).writes("all_lv_on", "", {}, readings((0, 0), (0, 0), (0, 0)))
    assert len(writes) == 3
    assert not any(write.confirm for write in writes)


def test_a_ramp_has_the_time_it_needs_at_its_set_speed() -> None:
    behaviour = CaenBehaviour(section())
    slow = {"0.hv_setV": 350.0, "0.hv_vMon": 50.0, "0.hv_rampUpSpeed": 1.0, "0.hv_rampDwnSpeed": 2.0}
    ramps = {name: reading(value) for name, value in slow.items()}
    (up,) = behaviour.writes("hv_on", "0", {}, readings((1, 0)) | ramps)
    (down,) = behaviour.writes("hv_off", "0", {}, readings((1, 1)) | ramps)
    assert (up.takes_s, down.takes_s) == (300.0, 25.0)
    for unknown in (reading(None, Quality.BAD), reading(0.0)):
        (up,) = behaviour.writes("hv_on", "0", {}, readings((1, 0)) | ramps | {"0.hv_rampUpSpeed": unknown})
        assert up.takes_s == 0.0
    (quick,) = behaviour.writes("lv_on", "0", {}, readings((0, 0)) | ramps)
    assert quick.takes_s == 0.0


def test_alarms_are_cleared_at_the_mainframe() -> None:
    (write,) = CaenBehaviour(section()).writes("clear_alarms", "", {}, {})
    assert (write.point, write.value) == ("clear_alarm", "Yes")
    assert variables(section())[0].pv == "cleanroom:ClearAlarm"


def test_a_channel_without_module_is_watched_and_neither_commanded_nor_counted() -> None:
    behaviour = CaenBehaviour(section(active=1, inactive=1))
    assert behaviour.inactive == {"1"}
    assert behaviour.observe_channel("1", readings((1, 1), (1, 1))).state == "HV_ON"
    assert behaviour.may_write("1.hv_setV", 100.0, readings((0, 0), (0, 0))) is not None
    assert not any(write.point.startswith("1.") for write in behaviour.settings())


def test_the_low_voltage_is_not_changed_while_it_is_on_or_unknown() -> None:
    behaviour = CaenBehaviour(section())
    assert behaviour.may_write("0.lv_setV", 12.0, readings((0, 0))) is None
    for now in (readings((1, 0)), {}, {"0.lv_status": reading(0, Quality.STALE)}):
        assert behaviour.may_write("0.lv_setV", 12.0, now) is not None
    assert behaviour.may_write("0.hv_setV", 300.0, readings((1, 1))) is None


def test_switches_are_switched_by_commands_only() -> None:
    behaviour = CaenBehaviour(section())
    for point in ("0.lv_pw", "0.hv_pw", "clear_alarm"):
        cause = behaviour.may_write(point, 1, readings((1, 0)))
        assert cause is not None
        assert cause.code == "command_only"


def test_settings_are_not_applied_to_a_channel_that_is_on_or_unknown() -> None:
    behaviour = CaenBehaviour(section())
    assert behaviour.may_apply("0", readings((0, 0))) is None
    for now in (readings((1, 1)), readings((0, 1)), readings((1, 3)), readings((1, 0)), {}):
        assert behaviour.may_apply("0", now) is not None


@pytest.mark.parametrize("side", ["lv", "hv"])
def test_settings_are_not_applied_after_a_switch_was_set_to_on(side: str) -> None:
    now = readings((0, 0)) | {f"0.{side}_pw": reading(1)}  # its status word follows later
    cause = CaenBehaviour(section()).may_apply("0", now)
    assert cause is not None
    assert cause.code == f"{side}_on"
    assert cause.evidence == {f"{side}_status": 0, f"{side}_pw": 1}


def test_a_low_voltage_is_not_changed_after_its_switch_was_set_to_on() -> None:
    now = readings((0, 0)) | {"0.lv_pw": reading(1)}
    cause = CaenBehaviour(section()).may_write("0.lv_setV", 12.0, now)
    assert cause is not None
    assert cause.code == "lv_on"
    assert CaenBehaviour(section()).may_write("0.lv_setV", 12.0, readings((0, 0))) is None


def test_every_setting_is_within_the_limits_of_its_point() -> None:
    everything: Any = {
        "lv": {"setV": 12, "maxI": 2.5, "tripTime": 10, "tripInt": "0b1", "tripExt": "0x11", "unVThr": 0}
        | {"ovVThr": 15, "rampUpTime": 100, "rampDwnTime": 100},
        "hv": {"setV": 200, "maxI": 500, "rampUpSpeed": 50, "rampDwnSpeed": 50, "tripTime": 10, "tripInt": 0}
        | {"tripExt": 17, "tripMode": "Ramp", "imRange": "High"},
    }
    made = section(1, **{"global": everything})
    points = {variable.point.name: variable.point for variable in variables(made)}
    settings = CaenBehaviour(made).settings()
    assert len(settings) == 18
    for write in settings:
        points[write.point].check_write(write.value)
    assert written(settings)["0.lv_tripExt"] == 17
    assert written(settings)["0.hv_tripMode"] == 1
    assert written(settings)["0.hv_imRange"] == 1


def test_status_words_are_said_in_words() -> None:
    assert status_text(0) == "off"
    assert status_text(3) == "ramping up"
    assert status_text(9) == "on, over-current"
    assert status_text(512) == "internal trip"
    assert status_text(513) == "on, internal trip"


def test_every_combination_of_three_channels_gives_one_state() -> None:
    behaviour = CaenBehaviour(section())
    for states in combinations_with_replacement(CHANNEL_STATES, 3):
        seen = behaviour.observe_device({str(n): state for n, state in enumerate(states)}, {})
        assert seen.state in SUPPLY.states
        assert (seen.cause is not None) == (seen.state in {"ERROR", "DISCONNECTED"})
