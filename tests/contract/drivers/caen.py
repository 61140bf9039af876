"""The CAEN driver before a simulated mainframe, over real Channel Access."""

from __future__ import annotations

from countingroom.core.values import Scalar
from countingroom.devices.drivers.caen.build import build
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.port import Driver
from countingroom.devices.resources import SharedResources
from countingroom.simulators.caen import DEFAULT_CHANNELS, CaenSimulator


class CaenHarness:
    needs = ""
    point = "0.hv_setV"
    values: tuple[Scalar, Scalar] = (120.0, 240.5)
    patience_s = 60.0

    async def start(self) -> None:
        self.resources = SharedResources()
        self.simulator = CaenSimulator({})
        self.where = await self.simulator.start()

    def driver(self) -> Driver:
        section = CaenSection.model_validate({"driver": "caen", "channels": DEFAULT_CHANNELS, **self.where})
        return build("caen", section, self.resources).driver

    def written(self) -> int:
        return self.simulator.puts

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.resources.close()
        await self.simulator.stop()


def harness() -> CaenHarness:
    return CaenHarness()
