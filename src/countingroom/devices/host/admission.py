"""Legality of a command of a device: it is admitted or refused before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.arguments import checked
from countingroom.core.errors import NotFound, OutOfRange, Refused
from countingroom.core.interlocks.hold import HeldCommand
from countingroom.core.messages import Command, CommandSpec, DeviceState, Link
from countingroom.core.points import Point
from countingroom.core.values import Reading
from countingroom.devices.behaviour import Behaviour, Write
from countingroom.devices.host.held import check_held
from countingroom.devices.host.legality import OF_THE_HOST, inactive, unreachable

SET = CommandSpec(name="set", label="Set", description="Write one value; done when its readback agrees.")


class Situation(Struct, frozen=True, kw_only=True):
    """The device as it is when a command arrives."""

    device: str
    now_ns: int
    behaviour: Behaviour
    commands: tuple[CommandSpec, ...]
    points: Mapping[str, Point]
    readings: Mapping[str, Reading]
    states: Mapping[str, DeviceState]
    """Channel -> state; the empty name is the device."""
    held: tuple[HeldCommand, ...] = ()
    """What acting interlocks keep in force on this device."""


class Admitted(Struct, frozen=True, kw_only=True):
    """A command that may be carried out, and how."""

    command: Command
    spec: CommandSpec
    writes: tuple[Write, ...]
    deadline_s: float
    """For the whole of it."""


def admit(command: Command, spec: CommandSpec, situation: Situation) -> Admitted:
    """What is to be done; RequestError with the reason otherwise."""
    state = situation.states[command.channel]
    if spec is SET:
        return _admit_set(command, situation)
    cause = state.refusals.get(spec.name)
    if cause is not None:
        raise Refused(cause)
    arguments = checked(spec, command.arguments)
    writes: tuple[Write, ...] = ()
    if spec not in OF_THE_HOST:
        asked = situation.behaviour.writes(spec.name, command.channel, arguments, situation.readings)
        writes = tuple(checked_write(write, situation.points) for write in asked)
    check_held(command.action, command.channel, spec.done_in, writes, situation.behaviour, situation.held)
    takes_s = max((write.takes_s for write in writes), default=0.0)
    return Admitted(command=command, spec=spec, writes=writes, deadline_s=spec.deadline_s + takes_s)


def checked_write(write: Write, points: Mapping[str, Point]) -> Write:
    """The write with its value as the point takes it; OutOfRange outside its limits."""
    point = points.get(write.point)
    if point is None:
        raise NotFound(f"there is no point {write.point}", suggestion="see the device's catalogue")
    return replace(write, value=point.check_write(write.value))


def find(command: Command, situation: Situation) -> CommandSpec:
    """The command of the catalogue that is meant, or SET; NotFound otherwise."""
    if command.channel and command.channel not in situation.behaviour.channels:
        raise NotFound(
            f"{situation.device} has no channel {command.channel}",
            suggestion=f"choose one of {', '.join(situation.behaviour.channels) or 'none: leave the channel out'}",
        )
    if command.action == SET.name:
        return SET
    scope = "channel" if command.channel else "device"
    named = [spec for spec in situation.commands if spec.name == command.action]
    for spec in named:
        if spec.scope == scope:
            return spec
    if named:
        hint = "name a channel" if scope == "device" else "leave the channel out"
        raise NotFound(f"{command.action} is not a command of a {scope}", code="wrong_scope", suggestion=hint)
    known = ", ".join(dict.fromkeys(spec.name for spec in situation.commands))
    raise NotFound(
        f"{situation.device} has no command {command.action}", suggestion=f"choose one of {SET.name}, {known}"
    )


def _admit_set(command: Command, situation: Situation) -> Admitted:
    name, value = command.arguments.get("point"), command.arguments.get("value")
    if set(command.arguments) != {"point", "value"} or not isinstance(name, str) or value is None:
        raise OutOfRange("set takes a point and its value", code="wrong_argument", suggestion="give point and value")
    write = checked_write(Write(point=name, value=value), situation.points)
    point = situation.points[name]
    if command.channel and point.channel != command.channel:
        raise NotFound(f"{name} is not of channel {command.channel}", suggestion="name the channel of the point")
    if point.channel in situation.behaviour.inactive:
        raise Refused(inactive(f"devices.{situation.device}.{point.channel}"))
    state = situation.states[point.channel if point.channel in situation.states else ""]
    if state.link is not Link.CONNECTED:
        raise Refused(unreachable(f"devices.{situation.device}", state.cause))
    cause = situation.behaviour.may_write(name, write.value, situation.readings)
    if cause is not None:
        raise Refused(cause)
    check_held(SET.name, point.channel, (), (write,), situation.behaviour, situation.held)
    return Admitted(command=command, spec=SET, writes=(write,), deadline_s=point.confirm_s)
