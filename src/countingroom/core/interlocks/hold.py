"""Finds the commands of a device that an acting interlock refuses, because they would undo one of its effects. Pure.

While an effect acts, its command is in force on its target. Another command would undo it when it

- writes one of its points to another value, or
- leads the same channel, or the device of it, only to states in which the effect is not in force.

A command that leads only to states in which its target is safe is never held back for the second reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.values import Scalar

HELD = "interlock"
"""Code of the cause of such a refusal."""


class HeldCommand(Struct, frozen=True, kw_only=True):
    """A command of an acting effect, and the states and values that it keeps in force."""

    interlock: str
    title: str
    """Of the interlock."""
    effect: str
    """Title of the effect: `HV off`."""
    cause: str
    """Why the interlock acts: `Bath too warm`."""
    since_ns: int = 0
    channel: str = ""
    """Empty: the device as a whole."""
    command: str
    done_in: tuple[str, ...] = ()
    """States in which it is in force; empty: its writes tell."""
    writes: dict[str, Scalar] = {}
    """Point -> the value that it keeps."""


class AskedCommand(Struct, frozen=True, kw_only=True):
    """A command to a device, and its result."""

    channel: str = ""
    command: str
    done_in: tuple[str, ...] = ()
    writes: Mapping[str, Scalar] = {}
    is_safe: bool = False
    """Whether it leads only to states in which its target is safe."""


def undoes(asked: AskedCommand, held: HeldCommand) -> bool:
    """Whether a command would undo an effect that acts."""
    if (asked.command, asked.channel, dict(asked.writes)) == (held.command, held.channel, held.writes):
        return False
    if any(point in held.writes and held.writes[point] != value for point, value in asked.writes.items()):
        return True
    is_same_target = not held.channel or not asked.channel or held.channel == asked.channel
    leads_elsewhere = bool(asked.done_in and held.done_in) and not set(asked.done_in) & set(held.done_in)
    return is_same_target and leads_elsewhere and not asked.is_safe


def refusal(asked: AskedCommand, held: Iterable[HeldCommand], source: str = "") -> Cause | None:
    """Why this command is refused, by the first interlock that refuses it; None if it is allowed."""
    for one in held:
        if undoes(asked, one):
            name = " ".join(filter(None, (asked.command, asked.channel)))
            return Cause(
                code=HELD,
                message=f"{name} would undo {one.effect} of the interlock {one.title}, tripped by {one.cause}",
                source=source,
                since_ns=one.since_ns or None,
                evidence={"interlock": one.interlock, "effect": one.effect, "cause": one.cause},
                suggestion=f"remove the cause, then reset the interlock: countingroom interlock reset {one.interlock}",
            )
    return None
