"""Makes a device from a `driver: mqtt` section. Each board is a channel."""

from __future__ import annotations

from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver, location
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.registry import Hosted


def build(name: str, section: MqttSensorsSection) -> Hosted:
    """The boards of this section."""
    return Hosted(
        name=name,
        title=name,
        group="Environment",
        location=location(section),
        driver=MqttSensorsDriver(section),
        behaviour=PlainBehaviour(tuple(section.sensors)),
        section=section,
        channel_labels={channel: board.label for channel, board in section.boards.items() if board.label},
    )
