"""The driver of the switchbox before its simulated box, on a pseudo terminal."""

from __future__ import annotations

from typing import Any

from countingroom.core.values import Scalar
from countingroom.devices.description import DevicesSection
from countingroom.devices.port import Driver
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources
from countingroom.simulators.switchbox import SwitchboxSimulator


class SwitchboxHarness:
    needs = ""
    point = "7.enabled"
    values: tuple[Scalar, Scalar] = (True, False)
    patience_s = 60.0

    def __init__(self, **section: Any) -> None:
        self._section = section

    async def start(self) -> None:
        self.resources = SharedResources()
        self.simulator = SwitchboxSimulator(self._section)
        where = await self.simulator.start()
        described = {"driver": "switchbox", "timeout": 3.0, "read_gap": 0.001, "write_gap": 0.01, **where}
        self.section = DevicesSection.model_validate({"box": described})["box"]

    def driver(self) -> Driver:
        return build("box", self.section, resources=self.resources).driver

    def written(self) -> int:
        return len(self.simulator.box.taken)

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.resources.close()
        await self.simulator.stop()


def harness() -> SwitchboxHarness:
    return SwitchboxHarness()
