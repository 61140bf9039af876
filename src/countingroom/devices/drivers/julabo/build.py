"""Makes a device from a `driver: julabo` section."""

from __future__ import annotations

from countingroom.devices.drivers.julabo.behaviour import JulaboBehaviour
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources
from countingroom.devices.serial.line import SerialPorts


def build(name: str, section: JulaboSection, resources: SharedResources) -> Hosted:
    """The chiller of this section."""
    return Hosted(
        name=name,
        title="Julabo chiller",
        group="Cooling",
        location=section.port if "://" in section.port else f"serial:{section.port}",
        driver=JulaboDriver(section, resources.get(SerialPorts)),
        behaviour=JulaboBehaviour(section),
        section=section,
    )
