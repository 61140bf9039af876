"""The driver of text instruments before a simulated supply, on a pseudo terminal."""

from __future__ import annotations

from typing import Any

from countingroom.core.values import Scalar
from countingroom.devices.description import DevicesSection
from countingroom.devices.port import Driver
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources
from countingroom.simulators.text import TextSimulator

SUPPLY: dict[str, Any] = {
    "driver": "text",
    "port": "/dev/ttyUSB0",
    "timeout": 3.0,
    "write_gap": 0.001,
    "identify": {"reply": "ACME,PS-12", "example": "ACME,PS-12,0042,1.3"},
    "errors": {},
    "values": {
        "1.voltage": {"query": "MEAS:VOLT? (@1)", "reply": "{value}V", "unit": "V", "tolerance": 0.001},
        "1.set_voltage": {
            "query": "VOLT? (@1)",
            "set": "VOLT {value:.3f},(@1)",
            "unit": "V",
            "write_low": 0,
            "write_high": 15,
            "readback": "1.voltage",
        },
        "1.mode": {"query": "STAT? (@1)", "type": "int", "words": {"CV": 0, "CC": 1}},
        "output": {"query": "OUTP?", "set": "OUTP {value}", "type": "bool", "set_reply": "OK"},
        "temperature": {
            "query": "TEMP?",
            "reply": r"T=(?P<value>[^;]*);.*",
            "example": "T=305.2;ok",
            "unit": "degC",
            "offset": -273.2,
            "poll": "5 s",
        },
    },
}


class TextHarness:
    needs = ""
    point = "1.set_voltage"
    values: tuple[Scalar, Scalar] = (1.5, 12.25)
    patience_s = 60.0

    def __init__(self, **more: Any) -> None:
        self.keys = {**SUPPLY, **more}

    async def start(self) -> None:
        self.resources = SharedResources()
        described = DevicesSection.model_validate({"psu": self.keys})["psu"]
        self.simulator = TextSimulator(described.model_dump(mode="json"))
        self.section = described.model_copy(update=dict(await self.simulator.start()))

    def driver(self) -> Driver:
        return build("psu", self.section, resources=self.resources).driver

    def written(self) -> int:
        return self.simulator.instrument.taken

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.resources.close()
        await self.simulator.stop()


def harness() -> TextHarness:
    return TextHarness()
