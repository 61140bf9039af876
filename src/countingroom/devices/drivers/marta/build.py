"""Makes a device from a `driver: marta` section."""

from __future__ import annotations

from countingroom.devices.drivers.marta.behaviour import MartaBehaviour
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.driver import MartaDriver
from countingroom.devices.drivers.modbus.connection import ModbusConnections
from countingroom.devices.drivers.modbus.driver import place_of
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources


def build(name: str, section: MartaSection, resources: SharedResources) -> Hosted:
    """The plant of this section."""
    return Hosted(
        name=name,
        title="MARTA CO2 plant",
        group="Cooling",
        location=place_of(section).text,
        driver=MartaDriver(section, resources.get(ModbusConnections)),
        behaviour=MartaBehaviour(section),
        section=section,
    )
