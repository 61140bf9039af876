"""Finds consequences of effects: effects that undo each other, and causes that an effect makes true. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from countingroom.core.alarms.conditions.described import DescribedCondition, state_address, state_value
from countingroom.core.alarms.conditions.kinds import evaluator, initial
from countingroom.core.interlocks.hold import AskedCommand, HeldCommand, undoes
from countingroom.core.interlocks.specs import CauseSpec
from countingroom.core.values import Scalar

Place = tuple[str, str]
"""Interlock, and its cause or effect."""


class EffectOnDevice(Struct, frozen=True, kw_only=True):
    """One command of an effect, with its result at the device."""

    interlock: str
    effect: str
    number: int
    """Of the command in its effect, from 0."""
    device: str
    asked: AskedCommand
    values: Mapping[str, Scalar] = {}
    """Address of a point -> the value that it has when the command is in force."""
    states: tuple[tuple[str, str], ...] = ()
    """(state, common state) in one of which its target then is."""


def fights(commands: Iterable[EffectOnDevice]) -> Iterator[tuple[EffectOnDevice, EffectOnDevice]]:
    """Pairs of commands of which one undoes the other. Both can act at the same time, because causes are independent:
    the trip of one cause does not prevent the trip of another."""
    known: list[EffectOnDevice] = []
    for new in commands:
        for old in known:
            if old.device == new.device and (undoes(new.asked, _held(old)) or undoes(old.asked, _held(new))):
                yield old, new
        known.append(new)


def made_true(cause: CauseSpec, commands: Iterable[EffectOnDevice]) -> bool:
    """Whether enough inputs of a cause are true because these commands, those of one effect, are in force."""
    given = list(commands)
    count = sum(any(_is_made_true(one, command) for command in given) for one in cause.inputs)
    return count >= cause.vote


def loops(leads_to: Mapping[Place, Iterable[Place]]) -> list[list[Place]]:
    """Causes that make themselves true, directly or through others: each loop as its causes in order, once."""
    found: dict[frozenset[Place], list[Place]] = {}

    def follow(path: list[Place]) -> None:
        for following in leads_to.get(path[-1], ()):
            if following == path[0]:
                found.setdefault(frozenset(path), list(path))
            elif following not in path and len(path) <= len(leads_to):
                follow([*path, following])

    for begin in leads_to:
        follow([begin])
    return list(found.values())


def _held(one: EffectOnDevice) -> HeldCommand:
    asked = one.asked
    return HeldCommand(
        interlock=one.interlock,
        title=one.interlock,
        effect=one.effect,
        cause="",
        channel=asked.channel,
        command=asked.command,
        done_in=asked.done_in,
        writes=dict(asked.writes),
    )


def _is_made_true(condition: DescribedCondition, command: EffectOnDevice) -> bool:
    subject = (
        f"channel.{command.device}.{command.asked.channel}" if command.asked.channel else f"device.{command.device}"
    )
    address = state_address(subject)
    if condition.inputs == (address,):
        return bool(command.states) and all(
            _evaluated(condition, {address: state_value(*one)}) for one in command.states
        )
    if all(one in command.values for one in condition.inputs):
        return _evaluated(condition, {one: command.values[one] for one in condition.inputs})
    return False


def _evaluated(condition: DescribedCondition, values: Mapping[str, Scalar]) -> bool:
    spec = condition.spec
    value = condition.derive(values) if condition.derive else values[condition.inputs[0]]
    state = evaluator(spec)(spec, initial(spec, 0), value, 0, 0, 1)
    return bool(state.raw) and not state.unknown
