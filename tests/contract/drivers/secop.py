"""The driver of SECoP nodes before a simulated one."""

from __future__ import annotations

from typing import Any

from countingroom.core.values import Scalar
from countingroom.devices.description import DevicesSection
from countingroom.devices.port import Driver
from countingroom.devices.registry import build
from countingroom.simulators.secop import SecopSimulator
from countingroom.simulators.secop_node import DEFAULT_MODULES

KEYS: dict[str, Any] = {"driver": "secop", "host": "lab", "timeout": 3.0, "modules": DEFAULT_MODULES}


class SecopHarness:
    needs = ""
    point = "cryo.target"
    values: tuple[Scalar, Scalar] = (12.5, 77.0)
    patience_s = 60.0

    async def start(self) -> None:
        self.simulator = SecopSimulator({**KEYS, "tick_s": 0.02})
        described = DevicesSection.model_validate({"node": KEYS})["node"]
        self.section = described.model_copy(update=dict(await self.simulator.start()))

    def driver(self) -> Driver:
        return build("node", self.section).driver

    def written(self) -> int:
        return self.simulator.node.taken

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.simulator.stop()


def harness() -> SecopHarness:
    return SecopHarness()
