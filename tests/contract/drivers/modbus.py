"""The generic Modbus driver before a simulated register table."""

from __future__ import annotations

from typing import Any

from countingroom.core.values import Scalar
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.simulators.modbus import ModbusSimulator

TABLE: dict[str, Any] = {
    "pressure": {"address": 10, "type": "float32", "unit": "bar", "warning_low": 1.0, "warning_high": 3.0},
    "valve_open": {"address": 20, "type": "bool", "bit": 3, "input": True},
    "mode": {"address": 21, "type": "int16", "input": True},
    "speed": {"address": 400, "type": "float32", "input": True, "write_low": 0, "write_high": 100},
}


class ModbusHarness:
    needs = ""
    point = "speed"
    values: tuple[Scalar, Scalar] = (12.5, 99.75)
    patience_s = 60.0

    async def start(self) -> None:
        self.simulator = ModbusSimulator({"registers": TABLE})
        self.address = await self.simulator.start()

    def driver(self) -> ModbusDriver:
        return ModbusDriver(ModbusSection.model_validate({**self.address, "registers": TABLE, "timeout": 3.0}))

    def written(self) -> int:
        return self.simulator.server.writes

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.simulator.stop()


def harness() -> ModbusHarness:
    return ModbusHarness()
