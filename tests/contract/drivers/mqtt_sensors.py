"""MQTT sensors before simulated boards, on the broker of the simulator."""

from __future__ import annotations

from typing import Any

from countingroom.core.values import Scalar
from countingroom.devices.description import DevicesSection
from countingroom.devices.port import Driver
from countingroom.devices.registry import build
from countingroom.simulators.sensors import SensorSimulator

BOARDS: dict[str, Any] = {
    "driver": "mqtt",
    "timeout": 3.0,
    "sensors": {"ESP01": "cold box", "ESP02": ""},
    "values": {
        "temperature": {"topic": "{sensor}/temperature", "unit": "degC"},
        "fan": {"topic": "{sensor}/fan", "set_topic": "{sensor}/fan/set", "write_low": 0, "write_high": 10},
    },
}


class SensorsHarness:
    needs = ""
    point = "ESP02.fan"
    values: tuple[Scalar, Scalar] = (3.5, 1.0)
    patience_s = 60.0

    async def start(self) -> None:
        self.simulator = SensorSimulator({**BOARDS, "period_s": 0.05})
        described = DevicesSection.model_validate({"boards": BOARDS})["boards"]
        self.section = described.model_copy(update=dict(await self.simulator.start()))

    def driver(self) -> Driver:
        return build("boards", self.section).driver

    def written(self) -> int:
        return self.simulator.taken

    async def drop(self) -> None:
        await self.simulator.fault("drop", {})

    async def restore(self) -> None:
        await self.simulator.fault("restore", {})

    async def stop(self) -> None:
        await self.simulator.stop()


def harness() -> SensorsHarness:
    return SensorsHarness()
