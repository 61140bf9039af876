"""Makes a device from a `driver: epics` section."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.points import Limits
from countingroom.devices.drivers.epics.behaviour import EpicsBehaviour
from countingroom.devices.drivers.epics.client import EpicsClient
from countingroom.devices.drivers.epics.completion import Unsaid
from countingroom.devices.drivers.epics.convert import Variable
from countingroom.devices.drivers.epics.description import ChannelAccessSection, EpicsSection
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.point_overrides import overridden
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources


def location(section: ChannelAccessSection, protocol: str = "ca") -> str:
    """The address of the device, as the console shows it."""
    addresses = (*section.name_servers, *section.address_list)
    return " ".join(f"{protocol}://{address}" for address in addresses) or f"{protocol}:"


def _client(section: EpicsSection, resources: SharedResources) -> EpicsClient:
    """The client of its protocol. The library of the other one is not loaded: each is several MB."""
    if section.protocol == "pva":
        from countingroom.devices.drivers.epics.pva_access import PvAccess

        return PvAccess()
    from countingroom.devices.drivers.epics.access import ChannelAccess

    return resources.get(ChannelAccess)


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
    driver = EpicsDriver(variables, section, _client(section, resources), source=f"devices.{name}")
    return Hosted(
        name=name,
        title=section.title or name,
        group=section.group or "EPICS",
        location=location(section, section.protocol),
        driver=driver,
        behaviour=EpicsBehaviour(channels, missing=driver.missing),
        section=section,
    )
