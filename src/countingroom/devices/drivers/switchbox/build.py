"""Makes a device from a `driver: switchbox` section."""

from __future__ import annotations

from countingroom.devices.drivers.mqtt.driver import location
from countingroom.devices.drivers.switchbox.behaviour import SwitchboxBehaviour
from countingroom.devices.drivers.switchbox.description import SwitchboxSection
from countingroom.devices.drivers.switchbox.mqtt_driver import MqttSwitchbox, board_section
from countingroom.devices.drivers.switchbox.points import points
from countingroom.devices.drivers.switchbox.serial_driver import SerialSwitchbox
from countingroom.devices.port import Driver
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources
from countingroom.devices.serial.line import SerialPorts

_LEAST_STALE_S = 2.0
_CONFIRM_S = 5.0


def driver_of(section: SwitchboxSection, resources: SharedResources) -> tuple[Driver, str]:
    """The driver by the way that the section names, and the address of the box."""
    # Every poll brings all values: five without one are a box that says nothing.
    table = points(stale_after_s=max(_LEAST_STALE_S, 5 * section.poll), confirm_s=_CONFIRM_S)
    if section.mqtt is not None:
        driver = MqttSwitchbox(section.mqtt, timeout_s=section.timeout, points=table)
        return driver, location(board_section(section.mqtt, section.timeout))
    address = section.port or ""
    driver = SerialSwitchbox(section, resources.get(SerialPorts), address, points=table)
    return driver, address if "://" in address else f"serial:{address}"


def build(name: str, section: SwitchboxSection, resources: SharedResources) -> Hosted:
    """The switchbox of this section."""
    driver, address = driver_of(section, resources)
    return Hosted(
        name=name,
        title="Switchbox",
        group="Power supplies",
        location=address,
        driver=driver,
        behaviour=SwitchboxBehaviour(),
        section=section,
        channel_labels=section.labels,
    )
