"""Law: what a simulator is. It runs in a process of its own (see run.py), listens on loopback and takes faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from countingroom.core.messages import CommandSpec
from countingroom.core.values import Scalar


class Simulator(Protocol):
    """Hardware that cannot be here."""

    faults: tuple[CommandSpec, ...]
    """What can be made to go wrong: `drop` and `restore` the link, `freeze`, `slow`, `trip`, `nan` …"""

    async def start(self) -> Mapping[str, Any]:
        """Listen; the keys of the device's section that point at it: {"address": "127.0.0.1", "port": 40123}."""
        ...

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        """Make it happen; RequestError when there is no such fault or argument."""
        ...

    async def stop(self) -> None: ...
