"""States and commands of a MARTA plant, from its status and its two start bits. CO2 without chiller is an alarm."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause, NotAllowed, OutOfRange
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Reading, Scalar
from countingroom.devices.behaviour import Observation, Write
from countingroom.devices.drivers.marta.alarms import text_of
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.names import severity_of
from countingroom.devices.drivers.marta.points import RANGES, alarm_bits

_ALARM_STATUS = 3
_LIVE = ("CONNECTED", "CHILLER_RUNNING", "CO2_RUNNING", "ALARM")

CHART = Chart(
    name="marta",
    rows=(
        Row("INIT", "connect", "CONNECTED"),
        Row("INIT", "disconnect", "DISCONNECTED"),
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("CONNECTED", "cmd_start_chiller", "CHILLER_RUNNING"),
        Row("CHILLER_RUNNING", "cmd_start_co2", "CO2_RUNNING"),
        Row("CO2_RUNNING", "cmd_stop_co2", "CHILLER_RUNNING"),
        Row("CHILLER_RUNNING", "cmd_stop_chiller", "CONNECTED"),
        Row("ALARM", "cmd_clear_alarms", "CONNECTED"),
        *(Row(state, f"found_{found.lower()}", found) for state in _LIVE for found in _LIVE if found != state),
        *(Row(state, "disconnect", "DISCONNECTED") for state in _LIVE),
    ),
    initial="INIT",
    safe=("CONNECTED",),
    common={
        "INIT": "no_link",
        "DISCONNECTED": "no_link",
        "CONNECTED": "off",
        "CHILLER_RUNNING": "moving",
        "CO2_RUNNING": "on",
        "ALARM": "error",
    },
)

_STARTS = {
    "start_chiller": ("set_start_chiller", True, "CHILLER_RUNNING"),
    "start_co2": ("set_start_co2", True, "CO2_RUNNING"),
    "stop_co2": ("set_start_co2", False, "CHILLER_RUNNING"),
    "stop_chiller": ("set_start_chiller", False, "CONNECTED"),
}
"""Command -> bit, value, and the state that proves it."""

_SETS = {
    "set_flow_active": Parameter(name="active", label="Flow control", type=Type.BOOL),
    "set_temperature_setpoint": Parameter(name="temperature", label="Temperature", unit="degC"),
    "set_speed_setpoint": Parameter(name="speed", label="Pump speed", unit="rpm"),
    "set_flow_setpoint": Parameter(name="flow", label="Flow", unit="g/s"),
}
"""Command, which is also the point it sets -> its parameter."""


class MartaBehaviour:
    """States and commands of a MARTA plant."""

    chart = CHART
    channel_chart: Chart | None = None
    channels: tuple[str, ...] = ()
    inactive: frozenset[str] = frozenset()

    def __init__(self, section: MartaSection) -> None:
        self._section = section
        self._bits = alarm_bits(section)
        self.commands = _commands()

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation:
        raise LookupError(f"a MARTA plant has no channel {channel}")

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        status, chiller, co2 = (_value(readings, name) for name in ("status", "set_start_chiller", "set_start_co2"))
        if status == _ALARM_STATUS:
            return Observation(state="ALARM", cause=self._alarm(readings))
        if co2 and not chiller:
            return Observation(state="ALARM", cause=_CO2_ALONE)
        match status, bool(chiller), bool(co2):
            case ((1 | 2), _, True):
                return Observation(state="CO2_RUNNING")
            case 1, True, False:
                return Observation(state="CHILLER_RUNNING")
            case 1, False, False:
                return Observation(state="CONNECTED")
            case 2, running, False:
                return Observation(state="CHILLER_RUNNING" if running else "CONNECTED", cause=_STOPPING)
            case _:
                return Observation(state="CONNECTED", cause=_unknown(status))

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        if command in _STARTS:
            bit, on, _ = _STARTS[command]
            if _value(readings, bit) is not on and (refusal := self._refusal(bit, on, readings)):
                raise refusal
            return (Write(point=bit, value=on),)
        if command in _SETS:
            return (Write(point=command, value=_given(arguments, _SETS[command])),)
        if command == "clear_alarms":
            return _CLEARING
        raise OutOfRange(f"a MARTA plant has no command {command}", code="not_found")

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        """A start bit is as legal as its command. In ALARM a start bit may always be cleared. The alarm is reset only
        while both start bits are clear."""
        starts = [_value(readings, bit) for bit in ("set_start_chiller", "set_start_co2")]
        if point == "set_alarm_reset" and value and starts != [False, False]:
            return _WOULD_RESTART
        refusal = self._refusal(point, value, readings)
        return refusal.cause if refusal else None

    def settings(self) -> tuple[Write, ...]:
        return tuple(Write(point=point, value=value) for point, value in self._section.settings.items())

    def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        if self.observe_device({}, readings) == Observation(state="CONNECTED"):
            return None
        return Cause(
            code="running",
            message="settings are not applied while the plant runs, stops or is in alarm",
            suggestion="stop the plant, or set the values one by one",
        )

    def _refusal(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> NotAllowed | None:
        state = self.observe_device({}, readings).state
        event = _EVENT_OF.get((point, bool(value)))
        if event is None or event in (allowed := CHART.allowed(state)) or (state == "ALARM" and not value):
            return None
        commands = (one.removeprefix("cmd_") for one in allowed if one.startswith("cmd_"))
        return NotAllowed(state, event.removeprefix("cmd_"), commands, source=CHART.name)

    def _alarm(self, readings: Mapping[str, Reading]) -> Cause:
        present = sorted((name for name in self._bits if _value(readings, name) is True), key=severity_of)
        causes = tuple(
            Cause(code="plant_alarm", message=text_of(name, self._section.alarm_codes), source=name) for name in present
        )
        return Cause(
            code="plant_alarm",
            message=causes[0].message if causes else "the plant reports an alarm, but no alarm bit is set",
            suggestion="remove the reason, then clear the alarms",
            causes=causes,
        )


_CO2_ALONE = Cause(
    code="co2_without_chiller",
    message="CO2 is switched on while the chiller is off",
    suggestion="use clear_alarms: it switches both off",
)

_WOULD_RESTART = Cause(
    code="would_restart",
    message="a start bit is still set, so the plant would restart",
    suggestion="use clear_alarms: it clears both start bits first",
)

_STOPPING = Cause(code="stopping", message="CO2 is switched off and the plant is not ready yet", suggestion="wait")

_CLEARING = (
    Write(point="set_start_co2", value=False),
    Write(point="set_start_chiller", value=False),
    Write(point="set_alarm_reset", value=True, confirm=False),
    Write(point="set_alarm_reset", value=False),
)
"""An alarm stops the plant but leaves its start bits set, so a reset alone would restart chiller and pump at once. Both
bits are therefore cleared first. The plant resets on the rising edge; the reset bit must go back to 0 even where its
readback did not show the 1, or the next reset has no edge."""

_EVENT_OF = {(bit, on): f"cmd_{command}" for command, (bit, on, _) in _STARTS.items()} | {
    ("set_alarm_reset", True): "cmd_clear_alarms"
}


def _unknown(status: Scalar) -> Cause | None:
    """The Cause of an unknown status; None before the first reading."""
    if status is None:
        return None
    return Cause(
        code="unknown_status", message=f"unknown plant status {status}", suggestion="check the panel of the plant"
    )


def _value(readings: Mapping[str, Reading], name: str) -> Scalar:
    reading = readings.get(name)
    return None if reading is None else reading.value


def _given(arguments: Mapping[str, Scalar], parameter: Parameter) -> float | int | bool:
    value = arguments.get(parameter.name)
    if not isinstance(value, (bool, int, float)):
        raise OutOfRange(f"{parameter.name} is missing", code="missing_argument")
    return bool(value) if parameter.type is Type.BOOL else value


def _commands() -> tuple[CommandSpec, ...]:
    starts = (
        CommandSpec(name=name, label=name.replace("_", " ").capitalize(), event=f"cmd_{name}", done_in=(done,))
        for name, (_, _, done) in _STARTS.items()
    )
    sets = (CommandSpec(name=name, label=_SETS[name].label, parameters=(_ranged(name),)) for name in _SETS)
    clear = CommandSpec(
        name="clear_alarms",
        label="Clear alarms",
        description="switches chiller and CO2 off first, so that nothing restarts",
        event="cmd_clear_alarms",
        done_in=("CONNECTED",),
        deadline_s=15.0,
    )
    return (*starts, *sets, clear)


def _ranged(name: str) -> Parameter:
    parameter = _SETS[name]
    low, high = RANGES.get(name, (None, None))
    return Parameter(
        name=parameter.name, label=parameter.label, type=parameter.type, unit=parameter.unit, low=low, high=high
    )
