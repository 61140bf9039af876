"""Makes a device from a `driver: text` section."""

from __future__ import annotations

from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.text.description import TextSection
from countingroom.devices.drivers.text.driver import TextDriver
from countingroom.devices.drivers.text.points import channels
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources
from countingroom.devices.serial.line import SerialPorts


def build(name: str, section: TextSection, resources: SharedResources) -> Hosted:
    """The instrument of this section."""
    settings = tuple(Write(point=point, value=value) for point, value in section.settings.items())
    return Hosted(
        name=name,
        title=name,
        group="Instruments",
        location=section.port if "://" in section.port else f"serial:{section.port}",
        driver=TextDriver(section, resources.get(SerialPorts)),
        behaviour=PlainBehaviour(channels(section), settings=settings),
        section=section,
    )
