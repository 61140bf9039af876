"""The driver of SNMP agents before a simulated crate of power supplies."""

from __future__ import annotations

from typing import Any

from countingroom.core.values import Scalar
from countingroom.devices.description import DevicesSection
from countingroom.devices.port import Driver
from countingroom.devices.registry import build
from countingroom.simulators.snmp import SnmpSimulator

CRATE: dict[str, Any] = {
    "driver": "snmp",
    "host": "crate.lab",
    "timeout": 3.0,
    "object_id": "1.3.6.1.4.1.19947",
    "values": {
        "u0.voltage": {"oid": "1.3.6.1.4.1.19947.1.3.2.1.5.1", "unit": "V", "tolerance": 0.01},
        "u0.set_voltage": {
            "oid": "1.3.6.1.4.1.19947.1.3.2.1.10.1",
            "unit": "V",
            "writable": True,
            "write_low": 0,
            "write_high": 60,
            "readback": "u0.voltage",
        },
        "u0.on": {"oid": "1.3.6.1.4.1.19947.1.3.2.1.4.1", "type": "bool", "bit": 0},
        "fan": {"oid": "1.3.6.1.4.1.19947.1.5.1.1.0", "type": "int", "unit": "rpm"},
        "temperature": {"oid": "1.3.6.1.4.1.19947.1.9.1.0", "unit": "degC", "scale": 0.1, "warning_high": 40},
        "name": {"oid": "1.3.6.1.4.1.19947.1.3.2.1.2.1", "type": "string"},
    },
}


class SnmpHarness:
    needs = ""
    point = "u0.set_voltage"
    values: tuple[Scalar, Scalar] = (1.5, 12.25)
    patience_s = 60.0

    def __init__(self, **more: Any) -> None:
        self.keys = {**CRATE, **more}

    async def start(self) -> None:
        described = DevicesSection.model_validate({"crate": self.keys})["crate"]
        self.simulator = SnmpSimulator(described.model_dump(mode="json"))
        self.section = described.model_copy(update=dict(await self.simulator.start()))

    def driver(self) -> Driver:
        return build("crate", self.section).driver

    def written(self) -> int:
        return self.simulator.agent.taken

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.simulator.stop()


def harness() -> SnmpHarness:
    return SnmpHarness()
