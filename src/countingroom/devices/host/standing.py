"""Whether a command is in force on its device, by the readback. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from countingroom.core.errors import RequestError
from countingroom.core.messages import Command, Link
from countingroom.core.values import Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import SET, Situation, find
from countingroom.devices.host.confirmation import holds, readback_of


class Standing(Struct, frozen=True, kw_only=True):
    """How a command stands on its device."""

    in_force: bool | None
    """None: no readback can tell, as for a pulse that clears faults."""
    done_in: tuple[str, ...] = ()
    writes: dict[str, Scalar] = {}
    """Point -> the value that it writes now; nothing where the device does not take it now."""


def standing(command: Command, situation: Situation) -> Standing:
    """The standing of a command now. A device that is not reached has no command in force."""
    try:
        spec = find(command, situation)
    except RequestError:  # giving it will tell
        return Standing(in_force=False)
    writes: Sequence[Write] = ()
    with suppress(Exception):  # the device does not take it now, or a fault of the driver: giving it will tell
        writes = _writes(command, spec is SET, situation)
    written: dict[str, Scalar] = {write.point: write.value for write in writes}
    done_in = spec.done_in
    state = situation.states.get(command.channel)
    if state is None or state.link is not Link.CONNECTED:
        return Standing(in_force=False, done_in=done_in, writes=written)
    if done_in:
        return Standing(in_force=state.state in done_in, done_in=done_in, writes=written)
    confirmed = [write for write in writes if write.confirm]
    if not confirmed:
        # A command that the device does not take now is not in force; one whose writes have no readback: unknown.
        return Standing(in_force=None if writes else False, writes=written)
    return Standing(in_force=all(_holds(write, situation) for write in confirmed), writes=written)


def _writes(command: Command, is_set: bool, situation: Situation) -> Sequence[Write]:
    if is_set:
        point, value = str(command.arguments.get("point")), command.arguments.get("value")
        return () if value is None else (Write(point=point, value=value),)
    return situation.behaviour.writes(command.action, command.channel, command.arguments, situation.readings)


def _holds(write: Write, situation: Situation) -> bool:
    point = situation.points.get(write.point)
    if point is None:
        return False
    name = readback_of(point)
    return name in situation.readings and holds(point, write.value, situation.readings[name])
