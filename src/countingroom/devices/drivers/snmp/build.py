"""Makes a device from a `driver: snmp` section."""

from __future__ import annotations

from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.snmp.driver import SnmpDriver
from countingroom.devices.drivers.snmp.points import channels
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.registry import Hosted


def build(name: str, section: SnmpSection) -> Hosted:
    """The device of this section."""
    settings = tuple(Write(point=point, value=value) for point, value in section.settings.items())
    return Hosted(
        name=name,
        title=name,
        group="SNMP",
        location=f"snmp://{section.host}:{section.port}",
        driver=SnmpDriver(section),
        behaviour=PlainBehaviour(channels(section), settings=settings),
        section=section,
    )
