"""Makes a device from a `driver: modbus` section."""

from __future__ import annotations

from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.modbus.connection import ModbusConnections
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver, place_of
from countingroom.devices.drivers.modbus.points import channels
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources


def build(name: str, section: ModbusSection, resources: SharedResources) -> Hosted:
    """The device of this section."""
    settings = tuple(Write(point=point, value=value) for point, value in section.settings.items())
    return Hosted(
        name=name,
        title=name,
        group="Plant",
        location=place_of(section).text,
        driver=ModbusDriver(section, resources.get(ModbusConnections)),
        behaviour=PlainBehaviour(channels(section), settings=settings),
        section=section,
    )
