"""Makes a device from a `driver: marta` section."""

from __future__ import annotations

from countingroom.devices.drivers.marta.behaviour import MartaBehaviour
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.driver import MartaDriver
from countingroom.devices.registry import Hosted


def build(name: str, section: MartaSection) -> Hosted:
    """The plant of this section."""
    return Hosted(
        name=name,
        title="MARTA CO2 plant",
        group="Cooling",
        location=f"modbus://{section.host}:{section.port}",
        driver=MartaDriver(section),
        behaviour=MartaBehaviour(section),
        section=section,
    )
