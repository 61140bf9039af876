"""States and commands of a Julabo. The state is the device's status number; a command never changes it by itself."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause, NotAllowed, OutOfRange
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation, Write
from countingroom.devices.drivers.julabo.description import HIGHEST_C, LOWEST_C, JulaboSection

_FOUND = (("found_off", "OFF"), ("found_on", "ON"), ("found_error", "ERROR"))

CHART = Chart(
    name="julabo",
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("OFF", "cmd_on", "ON"),
        Row("ON", "cmd_off", "OFF"),
        Row("ERROR", "cmd_off", "OFF"),
        *(
            Row(state, event, found)
            for state in ("CONNECTED", "OFF", "ON", "ERROR")
            for event, found in _FOUND
            if found != state
        ),
        *(Row(state, "disconnect", "DISCONNECTED") for state in ("CONNECTED", "OFF", "ON", "ERROR")),
    ),
    initial="DISCONNECTED",
    safe=("OFF",),
    common={"DISCONNECTED": "no_link", "CONNECTED": "moving", "OFF": "off", "ON": "on", "ERROR": "error"},
)

_SETPOINT = Parameter(name="setpoint", label="Setpoint", type=Type.INT, choices=(1, 2, 3))


class JulaboBehaviour:
    """States and commands of a Julabo."""

    chart = CHART
    channel_chart: Chart | None = None
    channels: tuple[str, ...] = ()
    inactive: frozenset[str] = frozenset()

    def __init__(self, section: JulaboSection) -> None:
        self._section = section
        self.commands = _commands(section)

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation:
        raise LookupError(f"a chiller has no channel {channel}")

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        status = readings.get("status_code")
        if status is None:
            return Observation(state="CONNECTED")
        text = readings.get("status_text")
        shown = "" if text is None or text.value is None else str(text.value)
        match status.value:
            case 2:
                return Observation(state="OFF")
            case 3:
                return Observation(state="ON")
            case 0 | 1:
                return _error(
                    "manual_control", f"the chiller is under manual control ({shown})", "switch it to remote control"
                )
            case int(code) if code < 0:
                return _error(
                    "chiller_fault", f"fault {code}: {shown}", "remove the cause at the chiller, then stop it"
                )
            case None if status.quality is Quality.BAD:
                return _error(
                    "nonsense",
                    f"the chiller's status cannot be read: {shown}",
                    "check the serial line and its settings",
                )
            case other:
                return _error(
                    "unknown_status", f"status {other} is not known: {shown}", "check the display of the chiller"
                )

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        match command:
            case "start" | "stop":
                return (Write(point="running", value=command == "start"),)
            case "use_external" | "use_internal":
                return (Write(point="ext_is_used", value=command == "use_external"),)
            case "use_setpoint":
                return (Write(point="used_setpoint", value=_given(arguments, "setpoint")),)
            case "set_working_temperature":
                number = int(_given(arguments, "setpoint"))
                return (Write(point=f"setpoint_{number}", value=_given(arguments, "temp")),)
            case "set_pressure":
                return (Write(point="pressure_stage", value=_given(arguments, "press"), confirm=False),)
            case _:
                raise OutOfRange(f"a Julabo has no command {command}", code="not_found")

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        """Setting `running` is start or stop, and as legal as they are."""
        if point != "running":
            return None
        state, event = self.observe_device({}, readings).state, "cmd_on" if value else "cmd_off"
        allowed = CHART.allowed(state)
        return None if event in allowed else NotAllowed(state, event, allowed, source=CHART.name).cause

    def settings(self) -> tuple[Write, ...]:
        wanted = self._section.settings.model_dump(exclude_none=True)
        return tuple(
            Write(point=point, value=value, confirm=point != "pressure_stage") for point, value in wanted.items()
        )

    def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        running = readings.get("running")
        if running is not None and running.value is False and running.quality is Quality.GOOD:
            return None
        return Cause(
            code="running",
            message="settings are not applied while the chiller runs, or while its state is unknown",
            suggestion="stop the chiller, or set the values one by one",
        )


def _error(code: str, message: str, suggestion: str) -> Observation:
    return Observation(state="ERROR", cause=Cause(code=code, message=message, suggestion=suggestion))


def _given(arguments: Mapping[str, Scalar], name: str) -> float | int:
    value = arguments.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OutOfRange(f"{name} is missing or not a number", code="missing_argument")
    return value


def _commands(section: JulaboSection) -> tuple[CommandSpec, ...]:
    return (
        CommandSpec(name="start", label="Start", event="cmd_on", done_in=("ON",)),
        CommandSpec(name="stop", label="Stop", event="cmd_off"),
        CommandSpec(name="use_external", label="Use external sensor"),
        CommandSpec(name="use_internal", label="Use internal sensor"),
        CommandSpec(
            name="set_working_temperature",
            label="Set working temperature",
            parameters=(
                _SETPOINT,
                Parameter(name="temp", label="Temperature", unit="degC", low=LOWEST_C, high=HIGHEST_C),
            ),
        ),
        CommandSpec(name="use_setpoint", label="Use setpoint", parameters=(_SETPOINT,)),
        CommandSpec(
            name="set_pressure",
            label="Set pump stage",
            parameters=(Parameter(name="press", label="Stage", type=Type.INT, low=1, high=section.pressure_stages),),
        ),
    )
