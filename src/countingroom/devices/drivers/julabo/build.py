"""Law: a Julabo section becomes a device."""

from __future__ import annotations

from countingroom.devices.drivers.julabo.behaviour import JulaboBehaviour
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.registry import Hosted


def build(name: str, section: JulaboSection) -> Hosted:
    """The chiller of this section."""
    return Hosted(
        name=name,
        title="Julabo chiller",
        group="Cooling",
        location=section.port if "://" in section.port else f"serial:{section.port}",
        driver=JulaboDriver(section),
        behaviour=JulaboBehaviour(section),
        section=section,
    )
