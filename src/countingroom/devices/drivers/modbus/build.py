"""Makes a device from a `driver: modbus` section."""

from __future__ import annotations

from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.drivers.modbus.points import channels
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.registry import Hosted


def build(name: str, section: ModbusSection) -> Hosted:
    """The device of this section."""
    settings = tuple(Write(point=point, value=value) for point, value in section.settings.items())
    return Hosted(
        name=name,
        title=name,
        group="Plant",
        location=f"modbus://{section.host}:{section.port}",
        driver=ModbusDriver(section),
        behaviour=PlainBehaviour(channels(section), settings=settings),
        section=section,
    )
