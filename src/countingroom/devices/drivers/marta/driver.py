"""The driver of a MARTA plant: the Modbus driver, and one more point with the alarms that are set as text."""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core.points import Point
from countingroom.devices.drivers.marta.alarms import summary
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.points import ALARMS, alarm_bits, points
from countingroom.devices.drivers.modbus.connection import ModbusConnections
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.port import Sample


class MartaDriver(ModbusDriver):
    """A MARTA plant over Modbus TCP."""

    def __init__(self, section: MartaSection, connections: ModbusConnections | None = None) -> None:
        super().__init__(section, connections)
        self._all_points = points(section)
        self._bits = frozenset(alarm_bits(section))
        self._texts = section.alarm_codes

    @property
    def points(self) -> tuple[Point, ...]:
        return self._all_points

    async def read(self) -> Sequence[Sample]:
        samples = await super().read()
        present = (sample.point for sample in samples if sample.value is True and sample.point in self._bits)
        return [*samples, Sample(point=ALARMS.name, value=summary(present, self._texts))]
