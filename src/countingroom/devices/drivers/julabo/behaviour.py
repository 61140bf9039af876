"""States and commands of a Julabo. The state is the device's status number; a command never changes it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause, NotAllowed, OutOfRange, Refused
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation, Write
from countingroom.devices.drivers.julabo.codec import REFUSALS
from countingroom.devices.drivers.julabo.description import SETPOINTS, JulaboSection
from countingroom.devices.drivers.julabo.points import points
from countingroom.devices.point_overrides import overridden

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
                return Observation(state="ERROR", cause=_manual(shown))
            case int(code) if code in REFUSALS:
                return _by_running(readings) or Observation(state="CONNECTED")
            case int(code) if code < 0:
                return _error(
                    "chiller_fault", f"fault {code}: {shown}", "remove the cause at the chiller, then stop it"
                )
            case None if status.quality is Quality.BAD:
                # Some baths answer STATUS with words alone, or not at all.
                wordless = text is None or text.quality is not Quality.UNCERTAIN
                if wordless and (observed := _by_running(readings)):
                    return observed
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
        if manual := _manual_now(readings):
            raise Refused(manual)
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
        """Setting `running` is start or stop, and as legal as they are. In manual control no value may be written."""
        if manual := _manual_now(readings):
            return manual
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
        if manual := _manual_now(readings):
            return manual
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


def _manual(shown: str) -> Cause:
    return Cause(
        code="manual_control",
        message=f"the chiller is under manual control ({shown})",
        suggestion="switch it to remote control",
    )


def _manual_now(readings: Mapping[str, Reading]) -> Cause | None:
    """The Cause where the chiller's panel has the control. It would ignore what is sent."""
    status, text = readings.get("status_code"), readings.get("status_text")
    if status is None or status.value not in (0, 1) or status.quality > Quality.UNCERTAIN:
        return None
    return _manual("" if text is None or text.value is None else str(text.value))


def _by_running(readings: Mapping[str, Reading]) -> Observation | None:
    """The state where STATUS does not tell it."""
    running = readings.get("running")
    if running is None or running.quality > Quality.UNCERTAIN or running.value is None:
        return None
    return Observation(state="ON" if running.value else "OFF")


def _setpoint_range(section: JulaboSection) -> tuple[float | None, float | None]:
    """The widest limits of the three setpoints. Each setpoint's own limits are checked when it is written."""
    known = points(section)
    fitting = {
        pattern: override
        for pattern, override in section.points.items()
        if any(fnmatchcase(point.name, pattern) for point in known)
    }
    setpoints = [point for point in overridden(known, fitting) if point.name in SETPOINTS]
    lows = [point.write_low for point in setpoints if point.write_low is not None]
    highs = [point.write_high for point in setpoints if point.write_high is not None]
    return min(lows, default=None), max(highs, default=None)


def _given(arguments: Mapping[str, Scalar], name: str) -> float | int:
    value = arguments.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OutOfRange(f"{name} is missing or not a number", code="missing_argument")
    return value


def _commands(section: JulaboSection) -> tuple[CommandSpec, ...]:
    low, high = _setpoint_range(section)
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
                Parameter(name="temp", label="Temperature", unit="degC", low=low, high=high),
            ),
        ),
        CommandSpec(name="use_setpoint", label="Use setpoint", parameters=(_SETPOINT,)),
        CommandSpec(
            name="set_pressure",
            label="Set pump stage",
            parameters=(Parameter(name="press", label="Stage", type=Type.INT, low=1, high=section.pressure_stages),),
        ),
    )
