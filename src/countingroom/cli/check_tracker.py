"""Checks the section `tracker` against its devices, their points, and the users of the MQTT listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from countingroom.app.tracker import problems as described_problems
from countingroom.core.yaml.located import Path, Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.topics import routes
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded
from countingroom.tracker.description import TrackerSection

Found = tuple[Path, str]
"""Where in the section, and what is wrong there."""


def tracker_problems(loaded: Loaded, hosted: Mapping[str, Hosted]) -> Iterator[Problem]:
    """What cannot work."""
    section = loaded.experiment.section(TrackerSection)
    for path, message in (*described_problems(loaded.experiment), *_sensors(section, hosted)):
        yield loaded.problem(("tracker", *path), message)


def tracker_warnings(loaded: Loaded) -> Iterator[Problem]:
    """Devices that no dashboard may command."""
    section = loaded.experiment.section(TrackerSection)
    for key, device in section.devices.items():
        if not any(fnmatchcase(f"device.{device}", pattern) for pattern in section.roles):
            message = f"dashboards may command nothing of {device}: give device.{device} a role in `roles`"
            yield loaded.problem(("tracker", key), message)


def _sensors(section: TrackerSection, hosted: Mapping[str, Hosted]) -> Iterator[Found]:
    for address, topic in section.sensors.items():
        device, _, name = address.partition(".")
        if (one := hosted.get(device)) is None:
            continue  # it has mistakes, or does not exist, which is told
        known = [point.name for point in one.points]
        if name not in known:
            yield ("sensors", address), f"{device} has no point {name}{did_you_mean(name, known)}"
        elif isinstance(one.section, MqttSensorsSection) and any(
            route.pattern.matches(topic) for route in routes(one.section)
        ):
            yield ("sensors", address), f"{device} takes its values from {topic}: it would hear what is published here"
