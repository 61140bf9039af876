"""Makes a device from a `driver: epics` section."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.points import Limits
from countingroom.devices.drivers.epics.access import ChannelAccess
from countingroom.devices.drivers.epics.behaviour import EpicsBehaviour
from countingroom.devices.drivers.epics.completion import Unsaid
from countingroom.devices.drivers.epics.convert import Variable
from countingroom.devices.drivers.epics.description import ChannelAccessSection, EpicsSection
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.point_overrides import overridden
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources


def location(section: ChannelAccessSection) -> str:
    """The address of the device, as the console shows it."""
    return " ".join(f"ca://{address}" for address in (*section.name_servers, *section.address_list)) or "ca:"


def build(name: str, section: EpicsSection, resources: SharedResources) -> Hosted:
    """The device of this section."""
    variables = [
        Variable(pv=section.prefix + value.pv, point=value.point(point), words=value.words, unsaid=value.unsaid())
        for point, value in section.values.items()
    ]
    described = overridden(
        tuple(variable.point for variable in variables), section.points, source=f"devices.{name}.points"
    )
    variables = [
        replace(
            variable, point=point, unsaid=variable.unsaid - ({Unsaid.LIMITS} if point.limits != Limits() else set())
        )
        for variable, point in zip(variables, described, strict=True)
    ]
    channels = tuple(dict.fromkeys(variable.point.channel for variable in variables if variable.point.channel))
    driver = EpicsDriver(variables, section, resources.get(ChannelAccess), source=f"devices.{name}")
    return Hosted(
        name=name,
        title=section.title or name,
        group=section.group or "EPICS",
        location=location(section),
        driver=driver,
        behaviour=EpicsBehaviour(channels, missing=driver.missing),
        section=section,
    )
