"""Makes a device from a `driver: derived` section."""

from __future__ import annotations

from countingroom.core.errors import ConfigurationError
from countingroom.devices.drivers.derived.description import DerivedSection
from countingroom.devices.drivers.derived.driver import DerivedDriver
from countingroom.devices.input_feed import InputFeed
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources


def build(name: str, section: DerivedSection, resources: SharedResources) -> Hosted:
    """The derived points of this section. ConfigurationError: an expression cannot be used, or there is a loop."""
    try:
        driver = DerivedDriver(name, section, resources.get(InputFeed))
    except ValueError as error:
        raise ConfigurationError(
            str(error), source=f"devices.{name}.values", suggestion="let no value need itself"
        ) from error
    channels = tuple(dict.fromkeys(one.partition(".")[0] for one in section.values if "." in one))
    return Hosted(
        name=name,
        title=name,
        group="Derived values",
        location="computed",
        driver=driver,
        behaviour=PlainBehaviour(channels),
        section=section,
    )
