"""The password for the MQTT broker: read from a file or an environment variable at each connection, never logged."""

from __future__ import annotations

import os
from pathlib import Path

from countingroom.core.errors import ConfigurationError
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection


def read_password(section: MqttSensorsSection, source: str) -> str | None:
    """The password, or None where the section names none; ConfigurationError where it cannot be read."""
    try:
        if section.password_env:
            return os.environ[section.password_env]
        if section.password_file:
            return Path(section.password_file).read_text().partition("\n")[0]
    except (KeyError, OSError) as error:
        raise ConfigurationError(
            f"the password of MQTT user {section.user} cannot be read: {error}",
            source=source,
            suggestion="set the environment variable, or make the file readable for this process",
        ) from error
    return None
