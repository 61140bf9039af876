"""A simulated Modbus device: written values are kept, readbacks follow them, other values vary within their limits."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping
from typing import Any

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import number, text
from countingroom.simulators.modbus_server import ModbusServer
from countingroom.simulators.register_image import RegisterImage

_TICK_S = 0.2
_FOLLOW_S = 1.0
_WANDER = 0.01

LINK_FAULTS = (
    CommandSpec(name="drop", description="end the connection and refuse new ones"),
    CommandSpec(name="freeze", description="accept requests and answer none"),
    CommandSpec(
        name="slow",
        description="take this long for every answer",
        parameters=(Parameter(name="seconds", unit="s", low=0.0, high=60.0),),
    ),
    CommandSpec(
        name="nan",
        description="a float becomes NaN",
        parameters=(Parameter(name="point", type=Type.STRING),),
    ),
    CommandSpec(name="restore", description="end every fault"),
)


class ModbusSimulator:
    """Any device with a register table."""

    faults = LINK_FAULTS

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None, seed: int = 1) -> None:
        self.image = RegisterImage(parameters)
        self.clock = clock or SystemClock()
        self.server = ModbusServer(self.image, self.clock, self.written)
        self.random = random.Random(seed)  # noqa: S311
        self._again: Mapping[str, Any] = parameters.get("again") or {}
        self._spoilt: set[str] = set()
        self._middles = {name: _middle(entry) for name, entry in self.image.table.items()}
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> Mapping[str, Any]:
        self.tick(0.0)
        port = await self.server.open(int(self._again.get("port", 0)))
        self._life = asyncio.create_task(self._live())
        # A device on a serial bus is simulated behind TCP too; the driver's table is the same.
        return {"host": "127.0.0.1", "port": port, "serial": "", "framing": "tcp"}

    async def stop(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        self.server.thaw()
        await self.server.close()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        match name:
            case "drop":
                await self.server.close()
            case "freeze":
                self.server.freeze()
            case "slow":
                self.server.slow_s = number(arguments, "seconds")
            case "nan":
                self._spoil(text(arguments, "point"))
            case "restore":
                self._spoilt.clear()
                self.server.slow_s = 0.0
                self.server.thaw()
                await self.server.open()
            case _:
                raise NotFound(f"it has no fault {name}")

    def written(self) -> None:
        """Called after a client wrote registers."""

    def tick(self, seconds: float) -> None:
        """Let that much time pass."""
        for name, entry in self.image.table.items():
            if entry.get("type", "int").startswith("float") and not entry.get("input"):
                self.image.put(name, self._middles[name] + self.random.gauss(0.0, _WANDER))
        for name, entry in self.image.table.items():
            readback = entry.get("readback")
            if readback:
                self._follow(readback, float(self.image.get(name)), seconds)

    def _follow(self, readback: str, target: float, seconds: float) -> None:
        present = self._middles[readback]
        self._middles[readback] = present + (target - present) * min(1.0, seconds / _FOLLOW_S)
        self.image.put(readback, self._middles[readback])

    def _spoil(self, point: str) -> None:
        entry = self.image.table.get(point)
        if entry is None or not entry.get("type", "int").startswith("float"):
            raise NotFound(f"there is no float register {point}")
        self._spoilt.add(point)
        self.hide_spoilt()

    def hide_spoilt(self) -> None:
        """Keep the NaN of the fault `nan`."""
        for point in self._spoilt:
            self.image.put(point, math.nan)

    async def _live(self) -> None:
        before = self.clock.monotonic()
        while True:
            await self.clock.sleep(_TICK_S)
            now = self.clock.monotonic()
            self.tick(now - before)
            self.hide_spoilt()
            before = now


def _middle(entry: Mapping[str, Any]) -> float:
    """The mean of a varying value: half-way between its innermost limits."""
    low = next((entry[key] for key in ("warning_low", "alarm_low", "write_low") if entry.get(key) is not None), None)
    high = next(
        (entry[key] for key in ("warning_high", "alarm_high", "write_high") if entry.get(key) is not None), None
    )
    if low is None or high is None:
        return float(low if low is not None else high if high is not None else 1.0)
    return (low + high) / 2
