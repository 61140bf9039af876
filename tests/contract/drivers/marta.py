"""The MARTA driver before its simulated plant."""

from __future__ import annotations

from countingroom.core.values import Scalar
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.driver import MartaDriver
from countingroom.simulators.marta import MartaSimulator


class MartaHarness:
    needs = ""
    point = "set_temperature_setpoint"
    values: tuple[Scalar, Scalar] = (-12.5, 10.25)
    patience_s = 60.0

    async def start(self) -> None:
        table = MartaSection(host="127.0.0.1").model_dump(mode="json")
        self.simulator = MartaSimulator(table)
        self.address = await self.simulator.start()

    def driver(self) -> MartaDriver:
        return MartaDriver(MartaSection.model_validate({**self.address, "timeout": 3.0}))

    def written(self) -> int:
        return self.simulator.server.writes

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.simulator.stop()


def harness() -> MartaHarness:
    return MartaHarness()
