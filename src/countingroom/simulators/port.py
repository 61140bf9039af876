"""The port of simulators. A simulator runs in its own process (`run.py`), listens on loopback and accepts faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from countingroom.core.messages import CommandSpec
from countingroom.core.values import Scalar


class Simulator(Protocol):
    """A simulated device."""

    faults: tuple[CommandSpec, ...]
    """The faults that can be provoked: `drop` and `restore` the link, `freeze`, `slow`, `trip`, `nan` …"""

    async def start(self) -> Mapping[str, Any]:
        """Listen; returns the section's keys that point at it: {"address": "127.0.0.1", "port": 40123}."""
        ...

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        """Provoke a fault; RequestError when there is no such fault or argument."""
        ...

    async def stop(self) -> None: ...
