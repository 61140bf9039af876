"""What a driver brings to be judged: its simulator, a fresh driver, a point to write, a link to cut.

A module tests/contract/drivers/<name>.py with a function `harness() -> Harness` joins the suite by existing. Where a
simulator takes long to start and keeps nothing of a test, the module also has a context manager `peer()`: it is entered
once for all of its tests, and `harness(peer)` gets what it gave.
"""

from __future__ import annotations

from typing import Protocol

from countingroom.core.values import Scalar
from countingroom.devices.port import Driver


class Harness(Protocol):
    """One driver before its simulator. Each test makes its own, starts it and stops it."""

    needs: str
    """A program that must be on PATH (`mosquitto`); empty: none."""
    point: str
    """A writable point that reads back what is written (itself, or its `readback`); empty: nothing can be written."""
    values: tuple[Scalar, Scalar]
    """Two different legal values for it."""
    patience_s: float
    """Within this the driver notices that its peer is gone."""

    async def start(self) -> None:
        """The peer is there."""
        ...

    def driver(self) -> Driver:
        """A new driver of the peer, not connected."""
        ...

    def written(self) -> int:
        """How many writes the peer has taken so far."""
        ...

    async def drop(self) -> None:
        """The peer goes away (its process or its line), as seen by the driver."""
        ...

    async def restore(self) -> None:
        """It comes back at the same address."""
        ...

    async def stop(self) -> None:
        """Everything ends; may be called after `drop`."""
        ...
