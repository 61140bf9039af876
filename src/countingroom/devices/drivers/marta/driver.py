"""The driver of a MARTA plant: the Modbus driver, and one more point with the alarms that are set as text."""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core.points import Point
from countingroom.devices.drivers.marta.alarms import summary
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.points import ALARMS, alarm_bits, points
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.port import Sample


class MartaDriver:
    """A MARTA plant over Modbus TCP."""

    def __init__(self, section: MartaSection) -> None:
        self._table = ModbusDriver(section)
        self._points = points(section)
        self._bits = frozenset(alarm_bits(section))
        self._texts = section.alarm_codes

    @property
    def points(self) -> tuple[Point, ...]:
        return self._points

    async def connect(self) -> None:
        await self._table.connect()

    async def read(self) -> Sequence[Sample]:
        samples = await self._table.read()
        present = (sample.point for sample in samples if sample.value is True and sample.point in self._bits)
        return [*samples, Sample(point=ALARMS.name, value=summary(present, self._texts))]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        await self._table.write(point, value)

    async def close(self) -> None:
        await self._table.close()
