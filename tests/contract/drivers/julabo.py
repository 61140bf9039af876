"""The Julabo driver before its simulated chiller, on a pseudo terminal."""

from __future__ import annotations

from countingroom.core.values import Scalar
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.serial.line import SerialPorts
from countingroom.simulators.julabo import JulaboSimulator


class JulaboHarness:
    needs = ""
    point = "setpoint_1"
    values: tuple[Scalar, Scalar] = (-12.5, 18.25)
    patience_s = 60.0

    async def start(self) -> None:
        self.ports = SerialPorts()
        self.simulator = JulaboSimulator({})
        self.port = (await self.simulator.start())["port"]

    def driver(self) -> JulaboDriver:
        return JulaboDriver(JulaboSection(port=self.port, timeout=0.5, read_gap=0.001, write_gap=0.01), self.ports)

    def written(self) -> int:
        return self.simulator.settings_taken

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.ports.close()
        await self.simulator.stop()


def harness() -> JulaboHarness:
    return JulaboHarness()
