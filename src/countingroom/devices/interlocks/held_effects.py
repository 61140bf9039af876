"""What acting effects keep in force on the devices of a host, as what their commands are compared with. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.core.interlocks.hold import HeldCommand
from countingroom.core.interlocks.specs import DeviceCommand, InterlockSpec
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import Command
from countingroom.core.values import Scalar
from countingroom.devices.host.admission import Situation
from countingroom.devices.host.standing import standing

Acting = tuple[InterlockSpec, str, str, int]
"""Interlock, name of the effect, why it acts, since when."""


def of_state(spec: InterlockSpec, state: InterlockState) -> Iterator[Acting]:
    """The effects with commands that act by this state."""
    for one in state.effects:
        effect = spec.effect(one.name)
        if one.acting_ns is not None and effect is not None and effect.commands:
            cause = spec.cause(one.cause)
            yield spec, one.name, cause.shown if cause else one.cause, one.acting_ns


class HeldEffects:
    """From acting effects to held commands. It remembers what a command writes, because a device that has nothing left
    to switch off does not tell any more."""

    def __init__(self) -> None:
        self._writes: dict[tuple[str, str, int], dict[str, Scalar]] = {}

    def of(self, acting: Iterator[Acting] | list[Acting], situation: Situation) -> tuple[HeldCommand, ...]:
        """What is kept in force on this device."""
        found: dict[tuple[str, str, int], HeldCommand] = {}
        for spec, name, cause, since_ns in acting:
            effect = spec.effect(name)
            for number, command in enumerate(effect.commands if effect else ()):
                key = spec.name, name, number
                if effect and command.device == situation.device and key not in found:
                    found[key] = self._held(key, spec, effect.shown, cause, since_ns, command, situation)
        return tuple(found.values())

    def _held(
        self,
        key: tuple[str, str, int],
        spec: InterlockSpec,
        effect: str,
        cause: str,
        since_ns: int,
        command: DeviceCommand,
        situation: Situation,
    ) -> HeldCommand:
        seen = standing(_message(command), situation)
        if seen.writes:
            self._writes[key] = {**self._writes.get(key, {}), **seen.writes}
        return HeldCommand(
            interlock=spec.name,
            title=spec.shown,
            effect=effect,
            cause=cause,
            since_ns=since_ns,
            channel=command.channel,
            command=command.command,
            done_in=seen.done_in,
            writes=self._writes.get(key, {}),
        )


def _message(command: DeviceCommand) -> Command:
    """As far as its standing needs it."""
    return Command(
        id="",
        action=command.command,
        channel=command.channel,
        arguments=command.arguments,
        issued_ns=0,
        deadline_ns=0,
    )
