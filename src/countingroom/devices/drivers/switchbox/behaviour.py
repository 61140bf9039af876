"""States and commands of a switchbox. The state is what the readback says; a state that breaks a rule is an ERROR.

HV on without LV, and more than four channels, are shown with their reason whatever led to them. `hv_off` is legal in
every state with a link. A box that is silent on a broker that is there, or that sends nonsense, is an ERROR too: that
is an alarm, and the high voltage can still be switched off.
"""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause, OutOfRange, Refused
from countingroom.core.messages import CommandSpec
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation, Write
from countingroom.devices.drivers.switchbox.codec import CHANNELS_ON, enabled_point
from countingroom.devices.drivers.switchbox.points import NUMBERS
from countingroom.devices.drivers.switchbox.rules import enabled, forbidden, known, too_many

_LIVE = ("CONNECTED", "LV_OFF", "LV_ON", "HV_ON", "ERROR")
_FOUND = (("lv_is_off", "LV_OFF"), ("lv_is_on", "LV_ON"), ("hv_is_on", "HV_ON"), ("fault", "ERROR"))

BOX = Chart(
    name="switchbox",
    initial="DISCONNECTED",
    safe=("LV_OFF",),
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("LV_OFF", "lv_on", "LV_ON"),
        Row("LV_ON", "lv_off", "LV_OFF"),
        Row("LV_ON", "hv_on", "HV_ON"),
        Row("HV_ON", "hv_off", "LV_ON"),
        *(Row(state, "hv_off", state) for state in ("CONNECTED", "LV_OFF", "LV_ON", "ERROR")),
        Row("ERROR", "lv_off", "ERROR"),
        *(Row(state, "disable_all", state) for state in ("LV_OFF", "LV_ON", "ERROR")),
        *(Row(state, event, found) for state in _LIVE for event, found in _FOUND if found != state),
        *(Row(state, "disconnect", "DISCONNECTED") for state in _LIVE),
    ),
    common={
        "DISCONNECTED": "no_link",
        "CONNECTED": "moving",
        "LV_OFF": "off",
        "LV_ON": "on",
        "HV_ON": "on",
        "ERROR": "error",
    },
)

_CHANNEL_STATES = (("found_disabled", "DISABLED"), ("found_enabled", "ENABLED"), ("unreadable", "CONNECTED"))

SWITCH = Chart(
    name="switchbox channel",
    initial="DISCONNECTED",
    safe=("DISABLED",),
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("DISABLED", "enable", "ENABLED"),
        Row("ENABLED", "disable", "DISABLED"),
        *(
            Row(state, event, found)
            for _, state in _CHANNEL_STATES
            for event, found in _CHANNEL_STATES
            if found != state
        ),
        *(Row(state, "disconnect", "DISCONNECTED") for _, state in _CHANNEL_STATES),
    ),
    common={"DISCONNECTED": "no_link", "CONNECTED": "moving", "DISABLED": "off", "ENABLED": "on"},
)

COMMANDS = (
    CommandSpec(name="lv_on", label="LV on", event="lv_on", done_in=("LV_ON", "HV_ON")),
    CommandSpec(name="lv_off", label="LV off", event="lv_off"),
    CommandSpec(name="hv_on", label="HV on", event="hv_on", done_in=("HV_ON",), dangerous=True),
    CommandSpec(name="hv_off", label="HV off", description="It is sent in every state.", event="hv_off"),
    CommandSpec(name="disable_all", label="Disable all", description="Every channel.", event="disable_all"),
    CommandSpec(name="enable", label="Enable", event="enable", scope="channel", done_in=("ENABLED",)),
    CommandSpec(name="disable", label="Disable", event="disable", scope="channel", done_in=("DISABLED",)),
)
"""`lv_off`, `hv_off` and `disable_all` are done by readback, because an ERROR for another reason can outlast them."""

_SWITCHES = {"lv_on": ("lv", True), "lv_off": ("lv", False), "hv_on": ("hv", True), "hv_off": ("hv", False)}


class SwitchboxBehaviour:
    """Behaviour of one switchbox. It has CommandRules."""

    chart = BOX
    channel_chart: Chart | None = SWITCH
    channels = NUMBERS
    inactive: frozenset[str] = frozenset()
    commands = COMMANDS

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation:
        name = enabled_point(channel)
        is_on = known(readings, name)
        if is_on is not None:
            return Observation(state="ENABLED" if is_on else "DISABLED")
        reading = readings.get(name)
        if reading is not None and reading.quality is Quality.STALE:
            return Observation(state="DISCONNECTED", cause=_silent())
        return Observation(state="CONNECTED", cause=_not_known(reading))

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        lv, hv, on = known(readings, "lv"), known(readings, "hv"), enabled(readings)
        broken = [cause for cause in (_hv_without_lv(lv, hv), too_many(on) if on else None) if cause]
        if broken:
            return Observation(state="ERROR", cause=_joined(broken))
        if lv is None or hv is None or on is None:
            return _incomplete(readings, hv)
        if hv:
            return Observation(state="HV_ON")
        return Observation(state="LV_ON" if lv else "LV_OFF")

    def forbids(self, command: str, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        """See `rules.py`."""
        return forbidden(command, channel, readings)

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        # Once more, because the readings are those after the commands under way.
        if cause := forbidden(command, channel, readings):
            raise Refused(cause)
        if command in _SWITCHES:
            point, value = _SWITCHES[command]
            return (Write(point=point, value=value),)
        match command:
            case "enable" | "disable":
                return (Write(point=enabled_point(channel), value=command == "enable"),)
            case "disable_all":
                return (Write(point=CHANNELS_ON, value=0),)
            case _:
                raise OutOfRange(f"a switchbox has no command {command}", code="not_found")

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        names = {"lv": "lv_on and lv_off", "hv": "hv_on and hv_off", CHANNELS_ON: "disable_all"}
        return Cause(
            code="command_only",
            message=f"{point} is set by commands only",
            suggestion=f"use the commands {names.get(point, 'enable and disable of the channel')}",
        )

    def settings(self) -> tuple[Write, ...]:
        return ()

    def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        return None


def _hv_without_lv(lv: bool | None, hv: bool | None) -> Cause | None:
    if not hv or lv is not False:
        return None
    return Cause(
        code="hv_without_lv",
        message="HV is on while LV is off",
        evidence={"hv": 1, "lv": 0},
        suggestion="switch the high voltage off at once: hv_off",
    )


def _joined(causes: list[Cause]) -> Cause:
    first, *others = causes
    if not others:
        return first
    return Cause(
        code=first.code,
        message=f"{first.message}, and {others[0].message}",
        evidence=first.evidence,
        suggestion=first.suggestion,
        causes=tuple(causes),
    )


def _incomplete(readings: Mapping[str, Reading], hv: bool | None) -> Observation:
    """The state while something is not known: nothing has come yet, the box is silent, or its status is nonsense."""
    qualities = {reading.quality for reading in readings.values()}
    if Quality.STALE in qualities:
        return Observation(state="ERROR", cause=_silent())
    unread = next((one for one in readings.values() if one.quality is Quality.BAD and one.reason), None)
    if unread is None:
        return Observation(state="CONNECTED", cause=_not_known(None))
    now = {True: "HV is on", False: "HV is off", None: "whether HV is on is not known"}[hv]
    return Observation(
        state="ERROR",
        cause=Cause(
            code="nonsense",
            message=f"the status of the box cannot be read: {unread.reason} ({now})",
            suggestion="check the line and the box; hv_off is sent all the same",
        ),
    )


def _silent() -> Cause:
    return Cause(
        code="silent",
        message="the box sends no status",
        suggestion="check its power supply and its connection; hv_off is sent all the same",
    )


def _not_known(reading: Reading | None) -> Cause:
    reason = f": {reading.reason}" if reading is not None and reading.reason else " yet"
    return Cause(
        code="unknown", message=f"the status of the box is not known{reason}", suggestion="wait for its next status"
    )
