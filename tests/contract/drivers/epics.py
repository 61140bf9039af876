"""The generic EPICS driver before an IOC made from its own table."""

from __future__ import annotations

from typing import Any

from countingroom.core.values import Scalar
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.port import Driver
from countingroom.devices.resources import SharedResources
from countingroom.simulators.epics import EpicsSimulator

TABLE: dict[str, Any] = {
    "pressure": {"pv": "p", "unit": "mbar", "deadband": 0.1, "warning_high": 1050.0},
    "setpoint": {
        "pv": "sp",
        "unit": "degC",
        "writable": True,
        "write_low": -30.0,
        "write_high": 30.0,
        "readback": "temperature",
        "tolerance": 0.1,
        "rate": "speed",
    },
    "temperature": {"pv": "t", "unit": "degC"},
    "speed": {"pv": "v", "writable": True, "write_low": 1.0, "write_high": 1000.0},
    "pump": {"pv": "pump", "type": "int", "words": {"Off": 0, "On": 1}, "writable": True},
    "interlock": {"pv": "ok", "type": "bool"},
    "version": {"pv": "version", "type": "string"},
}


class EpicsHarness:
    protocol = "ca"
    needs = ""
    point = "setpoint"
    values: tuple[Scalar, Scalar] = (-12.5, 20.25)
    patience_s = 60.0

    async def start(self) -> None:
        self.resources = SharedResources()
        self.simulator = EpicsSimulator({**self._keys(), "tick_s": 0.05})
        self.where = await self.simulator.start()

    def _keys(self) -> dict[str, Any]:
        return {"prefix": "lab:", "values": TABLE, "protocol": self.protocol}

    def driver(self) -> Driver:
        section = EpicsSection.model_validate({"driver": "epics", **self._keys(), **self.where})
        return build("lab", section, self.resources).driver

    def written(self) -> int:
        return self.simulator.puts

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.resources.close()
        await self.simulator.stop()


def harness() -> EpicsHarness:
    return EpicsHarness()
