"""The part of an interlock that one device host can evaluate and carry out alone. Pure.

It contains the causes whose points and states all belong to devices of this host, and the effects whose commands all go
to such devices. The alarm engine evaluates the whole interlock, including this part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.interlocks.specs import CauseSpec, DeviceCommand, EffectSpec, InterlockEffect, InterlockSpec

_STATES = ("state of device ", "state of channel ")
_OTHERS = "state of "


class LocalPart(Struct, frozen=True, kw_only=True):
    """The part of an interlock that one host handles."""

    spec: InterlockSpec
    """With the causes and effects of this host only."""
    devices: frozenset[str]
    """Those that it reads and commands: it is evaluated while the host serves all of them."""
    is_whole: bool
    """Whether all causes are evaluated here, and all commands are carried out here."""


def device_of(address: str) -> str:
    """The device of a point or state; empty where it is of none, as the state of a partition."""
    for begin in _STATES:
        if address.startswith(begin):
            return address.removeprefix(begin).partition(".")[0]
    return "" if address.startswith(_OTHERS) else address.partition(".")[0]


def local_part(spec: InterlockSpec, devices: Collection[str]) -> LocalPart | None:
    """The part for a host with these devices; None if no cause in the part leads to an effect in the part."""
    causes = tuple(one for one in spec.causes if _devices(one) <= set(devices))
    effects = tuple(one for one in spec.effects if one.commands and _commanded(one) <= set(devices))
    named = {one.name for one in causes}, {one.name for one in effects}
    matrix = tuple(cell for cell in spec.matrix if cell.cause in named[0] and cell.effect in named[1])
    if not matrix:
        return None
    causes = tuple(one for one in causes if any(cell.cause == one.name for cell in matrix))
    effects = tuple(one for one in effects if any(cell.effect == one.name for cell in matrix))
    reached = {(cell.cause, cell.effect) for cell in matrix}
    commanding = {one.name for one in spec.effects if one.kind is InterlockEffect.COMMANDS}
    return LocalPart(
        spec=replace(spec, causes=causes, effects=effects, matrix=matrix, engine_silent=None, proof_test_ns=None),
        devices=frozenset(set[str]().union(*map(_devices, causes), *map(_commanded, effects))),
        is_whole=all((cell.cause, cell.effect) in reached for cell in spec.matrix if cell.effect in commanding),
    )


def silent_effects(spec: InterlockSpec, devices: Collection[str]) -> Iterator[EffectSpec]:
    """The safe outputs that a host with these devices applies while the engine is silent: its own commands of the
    declared effects. None where the host does all of the interlock by itself."""
    part = local_part(spec, devices)
    if spec.engine_silent is None or (part and part.is_whole):
        return
    for one in spec.effects:
        if one.name in spec.engine_silent.effects and (commands := own_commands(one, devices)):
            yield replace(one, commands=commands)


def own_commands(effect: EffectSpec, devices: Collection[str]) -> tuple[DeviceCommand, ...]:
    """The commands of an effect to these devices, in their order."""
    return tuple(one for one in effect.commands if one.device in devices)


def _devices(cause: CauseSpec) -> set[str]:
    return {device_of(address) for address in cause.points}


def _commanded(effect: EffectSpec) -> set[str]:
    return {one.device for one in effect.commands}
