"""The state that a device host publishes about an interlock that it evaluates or whose safe outputs it applies."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.interlocks.states import InterlockState
from countingroom.core.subjects import token

HOST_KEYS = "interlock_host"
"""First token of the keys."""


class HostInterlockState(Struct, frozen=True, kw_only=True):
    """One interlock in one device host, at the key `interlock_host.<interlock>.<instance of the host>`."""

    name: str
    instance: str
    boot: str
    evaluates: bool = False
    """Whether it evaluates its part now: it serves all devices of it."""
    is_whole: bool = False
    """Whether it evaluates all causes and carries out all commands of the interlock."""
    state: InterlockState | None = None
    """Of its part: the causes and effects of its devices alone. None: it has no part, only safe outputs."""
    silent_since_ns: int | None = None
    """Since when it has heard no engine, while it applies the safe outputs; None: it does not."""
    silent_effects: tuple[str, ...] = ()
    """Effects that it applies while the engine is silent."""
    problem: str = ""
    """Why what tripped is not saved; empty: it is."""


def host_key(interlock: str, instance: str) -> str:
    """Key in the bucket `state`."""
    return f"{HOST_KEYS}.{token(interlock)}.{token(instance)}"
