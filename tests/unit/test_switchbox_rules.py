"""A switchbox is shown as it is and commanded as its rules allow; what breaks a rule is an error and never hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.charts.check import Severity, check
from countingroom.core.errors import Refused
from countingroom.core.messages import CommandSpec, Link
from countingroom.core.values import Quality, Reading
from countingroom.devices.behaviour import CommandRules, Write
from countingroom.devices.drivers.switchbox import codec
from countingroom.devices.drivers.switchbox.behaviour import BOX, COMMANDS, SWITCH, SwitchboxBehaviour
from countingroom.devices.host.states import StateTracker

BEHAVIOUR = SwitchboxBehaviour()


def readings(lv: bool | None = False, hv: bool | None = False, on: int | None = 0) -> dict[str, Reading]:
    """`on`: the mask of the channels. None: BAD with a reason."""
    made = codec.samples(f'{{"lv": {_word(lv)}, "hv": {_word(hv)}, "channels": {"null" if on is None else on}}}')
    return {
        one.point: Reading(value=one.value, quality=one.quality, device_ns=1, received_ns=1, reason=one.reason)
        for one in made
    }


def _word(value: bool | None) -> str:
    return "null" if value is None else str(int(value))


def state(**given: bool | int | None) -> tuple[str, str]:
    seen = BEHAVIOUR.observe_device({}, readings(**given))  # type: ignore[arg-type]
    return seen.state, seen.cause.message if seen.cause else ""


@pytest.mark.parametrize("chart", [BOX, SWITCH])
def test_its_charts_have_nothing_wrong(chart: object) -> None:
    assert [one for one in check(chart) if one.severity is Severity.ERROR] == []  # type: ignore[arg-type]


def test_the_state_is_that_of_its_readback() -> None:
    assert state() == ("LV_OFF", "")
    assert state(lv=True, on=0b1111) == ("LV_ON", "")
    assert state(lv=True, hv=True) == ("HV_ON", "")
    assert BEHAVIOUR.observe_device({}, {}).state == "CONNECTED"


def test_a_state_against_the_rules_is_an_error_with_its_reason() -> None:
    assert state(hv=True) == ("ERROR", "HV is on while LV is off")
    word, why = state(lv=True, hv=True, on=0b11111)
    assert word == "ERROR" and "5 channels are enabled (1, 2, 3, 4, 5); at most 4" in why
    word, why = state(hv=True, on=0b111111)
    assert word == "ERROR" and "HV is on while LV is off" in why and "6 channels" in why
    word, why = state(lv=True, hv=True, on=None)
    assert word == "ERROR" and "mask of 48 bits" in why and "HV is on" in why


@pytest.mark.parametrize(
    ("command", "now", "code"),
    [
        ("hv_on", readings(), "lv_off"),
        ("hv_on", readings(lv=True), ""),
        ("hv_on", readings(lv=True, on=0b11111), "too_many_channels"),
        ("hv_on", readings(lv=None), "unknown"),
        ("hv_on", readings(lv=True, on=None), "unknown"),
        ("lv_off", readings(lv=True, hv=True), "hv_on"),
        ("lv_off", readings(lv=True), ""),
        ("lv_off", readings(lv=True, hv=None), "unknown"),
        ("lv_off", readings(), NOTHING_TO_DO),
        ("enable", readings(on=0b111), ""),
        ("enable", readings(on=0b1111), "too_many_channels"),
        ("enable", readings(lv=True, hv=True), "hv_on"),
        ("enable", readings(on=None), "unknown"),
        ("disable", readings(lv=True, hv=True, on=0b1000000), "hv_on"),
        ("disable", readings(on=0b1000000), ""),
        ("disable_all", readings(lv=True, hv=True, on=1), "hv_on"),
        ("disable_all", readings(on=0b11111), ""),
        ("hv_off", {}, ""),
        ("hv_off", readings(lv=None, hv=None, on=None), ""),
    ],
)
def test_a_command_is_refused_where_a_rule_forbids_it(command: str, now: dict[str, Reading], code: str) -> None:
    channel = "7" if command in ("enable", "disable") else ""
    cause = BEHAVIOUR.forbids(command, channel, now)
    assert (cause.code if cause else "") == code
    if cause:
        assert cause.message and cause.suggestion
        with pytest.raises(Refused, match=cause.message.split("(")[0].strip()):
            BEHAVIOUR.writes(command, channel, {}, now)
    else:
        assert BEHAVIOUR.writes(command, channel, {}, now)


@given(st.booleans(), st.booleans(), st.integers(0, (1 << 48) - 1), st.sampled_from(COMMANDS), st.integers(1, 48))
def test_no_allowed_command_leads_against_the_rules(
    lv: bool, hv: bool, mask: int, spec: CommandSpec, number: int
) -> None:
    command, scope = spec.name, spec.scope
    now = readings(lv=lv, hv=hv, on=mask)
    if BEHAVIOUR.forbids(command, str(number), now) or BEHAVIOUR.observe_device({}, now).state == "ERROR":
        assert command != "hv_off" or not BEHAVIOUR.forbids(command, "", now)
        return
    chart = SWITCH if scope == "channel" else BOX
    seen = (
        BEHAVIOUR.observe_channel(str(number), now) if scope == "channel" else BEHAVIOUR.observe_device({}, now)
    ).state
    if command not in chart.allowed(seen):
        return
    (write,) = BEHAVIOUR.writes(command, str(number), {}, now)
    lv, hv = (bool(write.value) if write.point == name else was for name, was in (("lv", lv), ("hv", hv)))
    bit = 1 << (number - 1)
    if write.point == "channels_on":
        mask = 0
    elif write.point.endswith(".enabled"):
        mask = mask | bit if write.value else mask & ~bit
    assert BEHAVIOUR.observe_device({}, readings(lv=lv, hv=hv, on=mask)).state != "ERROR"


def test_the_high_voltage_is_switched_off_in_every_state() -> None:
    assert all("hv_off" in BOX.allowed(name) for name in BOX.states if name != "DISCONNECTED")
    assert BEHAVIOUR.writes("hv_off", "", {}, {}) == (Write(point="hv", value=False),)


def test_a_box_that_says_nothing_any_more_is_an_error_and_can_be_switched_off() -> None:
    old = {
        name: Reading(value=one.value, quality=Quality.STALE, device_ns=1, received_ns=1)
        for name, one in readings(lv=True, hv=True, on=3).items()
    }
    seen = BEHAVIOUR.observe_device({}, old)
    assert seen.state == "ERROR" and seen.cause and seen.cause.code == "silent", (
        "an alarm, although the broker is there"
    )
    assert "hv_off" in BOX.allowed(seen.state)
    assert BEHAVIOUR.observe_channel("1", old).state == "DISCONNECTED"


def test_buttons_of_channels_follow_the_rules_although_their_own_points_are_as_before() -> None:
    assert isinstance(BEHAVIOUR, CommandRules)
    tracker = StateTracker("box", BEHAVIOUR, COMMANDS, "boot")

    def look(changed: set[str], **given: bool | int | None) -> None:
        tracker.observe(changed, readings(**given), link=Link.CONNECTED, cause=None, now_ns=1)  # type: ignore[arg-type]

    def code(channel: str, command: str) -> str:
        cause = tracker.now[channel].refusals[command]
        return cause.code if cause else ""

    look({"", "1"}, lv=True, on=1)
    assert (code("1", "disable"), code("2", "enable"), code("", "lv_off")) == ("", "", "")
    assert code("1", "enable") == NOTHING_TO_DO
    look({""}, lv=True, hv=True, on=1)
    assert (code("1", "disable"), code("2", "enable"), code("", "lv_off")) == ("hv_on", "hv_on", "hv_on")
    cause = tracker.now["2"].refusals["enable"]
    assert cause and cause.source == "devices.box.2" and "HV is on" in cause.message
    look({"", "2", "3", "4"}, lv=True, on=0b1111)
    assert (code("4", "disable"), code("9", "enable")) == ("", "too_many_channels")
    assert code("", "hv_on") == ""


def test_a_switch_is_set_by_its_commands_only() -> None:
    for point in ("lv", "hv", "channels_on", "7.enabled"):
        cause = BEHAVIOUR.may_write(point, True, readings())
        assert cause and cause.code == "command_only" and "use the commands" in cause.suggestion
