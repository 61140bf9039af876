"""Makes a device from a `driver: secop` section. Each module is a channel."""

from __future__ import annotations

from countingroom.devices.drivers.secop.behaviour import SecopBehaviour
from countingroom.devices.drivers.secop.commands import node_command, offered
from countingroom.devices.drivers.secop.description import SecopSection
from countingroom.devices.drivers.secop.driver import SecopDriver
from countingroom.devices.registry import Hosted


def build(name: str, section: SecopSection) -> Hosted:
    """The node of this section."""
    commands = offered(
        command
        for module, described in section.modules.items()
        for one, accessible in described.accessibles.items()
        if accessible.is_command and (command := node_command(module, one, accessible.model_dump()))
    )
    driver = SecopDriver(section, tuple(commands.values()))
    return Hosted(
        name=name,
        title=section.equipment_id or name,
        group="SECoP",
        location=f"secop://{section.host}:{section.port}",
        driver=driver,
        behaviour=SecopBehaviour(tuple(section.modules), commands, driver.changed),
        section=section,
    )
