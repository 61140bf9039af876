"""Checks the commands of interlocks against the devices of a description, which are built but not connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from countingroom.core.arguments import checked
from countingroom.core.errors import RequestError
from countingroom.core.interlocks.consequences import EffectOnDevice
from countingroom.core.interlocks.hold import AskedCommand
from countingroom.core.interlocks.specs import DeviceCommand
from countingroom.core.messages import CommandSpec
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.core.yaml.located import Path
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import SET
from countingroom.devices.host.confirmation import readback_of
from countingroom.devices.registry import Hosted

_NUMBERS = 4
"""Status words of devices are small: with one of these most commands can be given."""


class Wrong(NamedTuple):
    """An error in a command: its place and the message."""

    path: Path
    message: str


class InterlockCommands:
    """The commands of the devices."""

    def __init__(self, hosted: Mapping[str, Hosted]) -> None:
        self._hosted = hosted
        self._points = {name: {point.name: point for point in one.points} for name, one in hosted.items()}

    def wrong(self, device: str, channel: str, command: str, arguments: Mapping[str, Scalar]) -> Wrong | None:
        """Why the device does not take this command; None if it does, or if the device could not be built."""
        if device not in self._hosted:
            return None
        behaviour = self._hosted[device].behaviour
        if channel and channel not in behaviour.channels:
            known = behaviour.channels
            return Wrong(("channel",), f"{device} has no channel {channel}{did_you_mean(channel, known)}")
        if channel in behaviour.inactive:
            return Wrong(("channel",), f"channel {channel} of {device} is monitored and never commanded")
        if command == SET.name:
            return self._wrong_set(device, arguments)
        named = [one for one in behaviour.commands if one.name == command]
        if not named:
            known = dict.fromkeys(one.name for one in behaviour.commands)
            return Wrong(("command",), f"{device} has no command {command}{did_you_mean(command, known)}")
        if (spec := self._spec(device, channel, command)) is None:
            hint = "leave the channel out" if channel else "name a channel"
            return Wrong(("command",), f"{command} is not a command of a {'channel' if channel else 'device'}; {hint}")
        try:
            checked(spec, arguments)
        except RequestError as error:
            return Wrong(("arguments",), error.cause.message)
        return None

    def on_device(self, interlock: str, effect: str, number: int, command: DeviceCommand) -> EffectOnDevice:
        """The command with its result at the device."""
        writes = {write.point: write.value for write in self._writes(command)}
        points = self._points[command.device]
        values = {
            f"{command.device}.{name}": value
            for point, value in writes.items()
            for name in (point, *((readback_of(points[point]),) if point in points else ()))
        }
        behaviour = self._hosted[command.device].behaviour
        chart = (behaviour.channel_chart if command.channel else None) or behaviour.chart
        spec = self._spec(command.device, command.channel, command.command)
        done_in = spec.done_in if spec else ()
        return EffectOnDevice(
            interlock=interlock,
            effect=effect,
            number=number,
            device=command.device,
            asked=AskedCommand(channel=command.channel, command=command.command, done_in=done_in, writes=writes),
            values=values,
            states=tuple((state, chart.common.get(state, "")) for state in done_in),
        )

    def has_no_readback(self, command: DeviceCommand) -> bool:
        """Whether there is no state and no point that shows that the command is in force."""
        if command.device not in self._hosted:
            return False
        spec = self._spec(command.device, command.channel, command.command)
        if spec is None or spec.done_in:
            return False
        writes = self._writes(command)
        return bool(writes) and not any(write.confirm for write in writes)

    def is_never_stale(self, address: str) -> bool:
        """Whether a point is never declared stale while its link is up."""
        device, _, name = address.partition(".")
        point = self._points.get(device, {}).get(name)
        return point is not None and point.stale_after_s == 0

    def _wrong_set(self, device: str, arguments: Mapping[str, Scalar]) -> Wrong | None:
        name, value = arguments.get("point"), arguments.get("value")
        if set(arguments) != {"point", "value"} or not isinstance(name, str) or value is None:
            return Wrong(("arguments",), "set takes the arguments point and value")
        point = self._points[device].get(name)
        if point is None:
            return Wrong(
                ("arguments", "point"), f"{device} has no point {name}{did_you_mean(name, self._points[device])}"
            )
        try:
            point.check_write(value)
        except RequestError as error:
            return Wrong(("arguments", "value"), error.cause.message)
        return None

    def _spec(self, device: str, channel: str, command: str) -> CommandSpec | None:
        scope = "channel" if channel else "device"
        commands = self._hosted[device].behaviour.commands
        return next((one for one in commands if one.name == command and one.scope == scope), None)

    def _writes(self, command: DeviceCommand) -> Sequence[Write]:
        """The values that a command writes; empty if they cannot be found. A driver computes them from its readings, so
        it is asked with all readings at 0, then 1, and so on, until it takes the command."""
        if command.command == SET.name:
            point, value = command.arguments.get("point"), command.arguments.get("value")
            return (Write(point=str(point), value=value),) if value is not None else ()
        behaviour = self._hosted[command.device].behaviour
        for number in range(_NUMBERS):
            readings = {name: _reading(point, number) for name, point in self._points[command.device].items()}
            with suppress(Exception):  # the next readings may work; this does not test drivers
                if writes := behaviour.writes(command.command, command.channel, command.arguments, readings):
                    return writes
        return ()


def _reading(point: Point, number: int) -> Reading:
    value: Scalar = {Type.FLOAT: float(number), Type.INT: number, Type.BOOL: bool(number)}.get(point.type, "")
    return Reading(value=value, quality=Quality.GOOD, device_ns=0, received_ns=0)
