"""States and commands of a CAEN mainframe. A channel's state follows its status words.

A command to a channel acts on that channel alone. A command to the supply acts on every active channel that is in a
state which allows it. HV on with LV off damages a module: it is an ERROR of the channel, and no command leads to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause, NotAllowed, RequestError
from countingroom.core.messages import CommandSpec
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation, Write
from countingroom.devices.drivers.caen.charts import CHANNEL, SUPPLY, WHOLE
from countingroom.devices.drivers.caen.columns import HV, LV, RAMP_DOWN, RAMP_UP, SIDES, status_text
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.drivers.caen.setpoint_rules import (
    CLEAR_ALARM,
    measured,
    setpoint_refusal,
    settings_refusal,
    status_word,
)

_RAMP_S = 120.0
"""Deadline, on top of the duration of the ramp at its set speed."""

_SWITCHES = {"lv_on": ("lv_pw", 1), "lv_off": ("lv_pw", 0), "hv_on": ("hv_pw", 1), "hv_off": ("hv_pw", 0)}


def _switch(name: str, label: str, done_in: tuple[str, ...], *, slow: bool = False) -> tuple[CommandSpec, CommandSpec]:
    """The command of a channel, and the one of the supply for all channels."""
    deadline_s = _RAMP_S if slow else 10.0
    dangerous = name == "hv_on"
    everywhere = tuple(dict.fromkeys([*done_in, *(("LV_MIX",) if name == "hv_off" else ())]))
    return (
        CommandSpec(
            name=name,
            label=label,
            event=name,
            scope="channel",
            done_in=done_in,
            deadline_s=deadline_s,
            dangerous=dangerous,
        ),
        CommandSpec(
            name=f"all_{name}",
            label=f"All {label}",
            description="On every active channel whose state allows it.",
            event=f"all_{name}",
            done_in=everywhere,
            deadline_s=deadline_s,
            dangerous=dangerous,
        ),
    )


COMMANDS = (
    *_switch("lv_on", "LV on", ("LV_ON",)),
    *_switch("lv_off", "LV off", ("LV_OFF",)),
    *_switch("hv_on", "HV on", ("HV_ON",), slow=True),
    *_switch("hv_off", "HV off", ("LV_ON", "LV_OFF"), slow=True),
    CommandSpec(
        name="clear_alarms",
        label="Clear alarms",
        description="Clear the trips of all channels; they stay off.",
        event="clear_alarms",
    ),
)


class CaenBehaviour:
    """Behaviour of one mainframe."""

    chart = SUPPLY
    channel_chart: Chart | None = CHANNEL
    commands = COMMANDS

    def __init__(self, section: CaenSection) -> None:
        self._section = section
        self.channels = tuple(section.channels)
        self.inactive = frozenset(name for name, channel in section.channels.items() if not channel.module)
        self._points = {
            channel: tuple(f"{channel}.{side}_{column.name}" for side, columns in SIDES for column in columns)
            for channel in self.channels
        }

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation:
        """The state by status words; DISCONNECTED where one of its variables has no link."""
        lost = [
            name
            for name in self._points[channel]
            if (reading := readings.get(name)) is not None and reading.quality is Quality.STALE
        ]
        if lost:
            return Observation(state="DISCONNECTED", cause=_lost(channel, lost))
        lv, hv = (status_word(readings, f"{channel}.{side}_status") for side in ("lv", "hv"))
        if lv is None or hv is None:
            return Observation(state="CONNECTED", cause=_unknown(channel))
        if hv > 5:
            return Observation(state="ERROR", cause=_fault(channel, "hv", hv))
        if lv > 1:
            return Observation(state="ERROR", cause=_fault(channel, "lv", lv))
        if lv == 0:
            return Observation(state="ERROR", cause=_hv_without_lv(channel, hv)) if hv else Observation(state="LV_OFF")
        if hv in (RAMP_UP, RAMP_DOWN):
            return Observation(state="HV_RAMP")
        return Observation(state="HV_ON" if hv == 1 else "LV_ON")

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        """The state by the ordered rules over the active channels."""
        verdict = WHOLE.decide(states)
        if verdict.state not in {"ERROR", "DISCONNECTED"}:
            return Observation(state=verdict.state)
        named = ", ".join(verdict.because)
        if verdict.rule == "any ERROR":
            message, code = f"channels in ERROR: {named}", "channels_in_error"
        elif verdict.state == "DISCONNECTED":
            message, code = f"channels without link: {named}", "link_lost"
        else:
            message, code = f"some channels have HV on while others have LV off: {named}", "hv_and_lv_off"
        under = (self.observe_channel(name, readings).cause for name in verdict.because[:5])
        cause = Cause(
            code=code,
            message=message,
            evidence={"channels": len(verdict.because)},
            suggestion="check these channels",
            causes=tuple(cause for cause in under if cause),
        )
        return Observation(state=verdict.state, cause=cause)

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        """The switch of one channel, or of every active channel that may be switched now."""
        if command == "clear_alarms":
            return (Write(point=CLEAR_ALARM, value="Yes", confirm=False),)
        event = command.removeprefix("all_")
        if event not in _SWITCHES:  # `reconnect` and `refresh` of the host write nothing
            return ()
        column, value = _SWITCHES[event]
        if channel:
            if refusal := _other_switch(event, channel, readings):
                raise refusal
            return (Write(point=f"{channel}.{column}", value=value, takes_s=_takes_s(event, channel, readings)),)
        active = [name for name in self.channels if name not in self.inactive]
        states = {name: self.observe_channel(name, readings).state for name in active}
        able = [name for name in active if event in CHANNEL.allowed(states[name])]
        able = [name for name in able if not _other_switch(event, name, readings)]
        if not able:
            raise NotAllowed(", ".join(sorted(set(states.values()))), command, (), source="every active channel")
        return tuple(
            Write(point=f"{name}.{column}", value=value, confirm=False, takes_s=_takes_s(event, name, readings))
            for name in able
        )

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        """See `setpoint_rules.py`."""
        return setpoint_refusal(point, self.inactive, readings)

    def settings(self) -> tuple[Write, ...]:
        """Every setting of the description, for the active channels."""
        return tuple(
            Write(point=f"{name}.{side}_{column.name}", value=column.words.get(str(value), value))
            for name, channel in self._section.channels.items()
            if name not in self.inactive
            for side, columns, own, common in (
                ("lv", LV, channel.lv, self._section.everywhere.lv),
                ("hv", tuple(reversed(HV)), channel.hv, self._section.everywhere.hv),
            )
            for column in columns
            if (value := _setting(own, common, column.setting or column.name)) is not None
        )

    def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        """See `setpoint_rules.py`."""
        return settings_refusal(channel, readings)


def _setting(own: object, common: object, key: str) -> float | int | str | None:
    value = getattr(own, key, None)
    return getattr(common, key, None) if value is None else value


def _other_switch(event: str, channel: str, readings: Mapping[str, Reading]) -> RequestError | None:
    """Why the command is refused because of the other side's switch, or None.

    `lv_off` is refused while the HV switch is on, `hv_on` while the LV switch is off. The switch counts before the
    status word, which follows later: an `hv_on` right after `lv_off` would otherwise end in HV on with LV off.
    """
    side, forbidden = {"lv_off": ("hv", 1), "hv_on": ("lv", 0)}.get(event, ("", 0))
    switch = readings.get(f"{channel}.{side}_pw")
    if switch is None or switch.quality > Quality.UNCERTAIN or switch.value != forbidden:
        return None
    word = "on" if forbidden else "off"
    return RequestError(
        f"the {side.upper()} switch of channel {channel} is {word}",
        source=channel,
        code=f"{side}_{word}",
        evidence={f"{side}_pw": forbidden},
        suggestion="switch the HV off first: hv_off" if side == "hv" else "switch the LV on first: lv_on",
    )


def _takes_s(event: str, channel: str, readings: Mapping[str, Reading]) -> float:
    """Duration of the HV ramp at the set speed; 0 where it is unknown."""
    now, goal = measured(readings, f"{channel}.hv_vMon"), measured(readings, f"{channel}.hv_setV")
    speed = measured(readings, f"{channel}.hv_{'rampUpSpeed' if event == 'hv_on' else 'rampDwnSpeed'}")
    if event not in ("hv_on", "hv_off") or now is None or goal is None or not speed or speed < 0:
        return 0.0
    return abs((goal if event == "hv_on" else 0.0) - now) / speed


def _lost(channel: str, names: list[str]) -> Cause:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return Cause(
        code="link_lost",
        message=f"channel {channel}: no link to {', '.join(names[:3])}{more}",
        source=channel,
        suggestion="check that the mainframe's EPICS server runs and has this board",
    )


def _unknown(channel: str) -> Cause:
    return Cause(
        code="unknown",
        message=f"the status of channel {channel} is not known yet",
        source=channel,
        suggestion="wait for its first status",
    )


def _fault(channel: str, side: str, status: int) -> Cause:
    return Cause(
        code=f"{side}_fault",
        message=f"channel {channel}: {side.upper()} {status_text(status)}",
        source=channel,
        evidence={f"{side}_status": status},
        suggestion="remove the reason, then clear the alarms",
    )


def _hv_without_lv(channel: str, status: int) -> Cause:
    return Cause(
        code="hv_without_lv",
        message=f"channel {channel}: HV is {status_text(status)} while LV is off",
        source=channel,
        evidence={"hv_status": status, "lv_status": 0},
        suggestion="switch the high voltage of this channel off at once: hv_off",
    )
