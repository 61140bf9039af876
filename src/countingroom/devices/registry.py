"""Law: a section becomes a device here; the driver's code is imported when it is first wanted, not before."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import msgspec
from msgspec import Struct

from countingroom.core.errors import ConfigurationError
from countingroom.devices.behaviour import Behaviour
from countingroom.devices.point_overrides import overridden
from countingroom.devices.port import Driver
from countingroom.devices.section import DeviceSection


class Hosted(Struct, frozen=True, kw_only=True):
    """A device ready to be hosted: what a driver's `build(name, section)` returns."""

    name: str
    title: str
    group: str
    """Heading in the navigation."""
    location: str = ""
    """Where it is reached: `serial:/dev/ttyUSB0`, `modbus://10.0.0.3:502`."""
    simulated: bool = False
    driver: Driver
    behaviour: Behaviour
    section: DeviceSection
    channel_labels: dict[str, str] = {}
    """What a channel supplies (its module)."""


def build(name: str, section: DeviceSection, *, simulated: bool = False) -> Hosted:
    """The device of this section. Nothing is connected yet; ConfigurationError when it cannot work.

    The builder is the function `build(name, section) -> Hosted` in the module `build` beside the section's own module,
    or whatever `module:function` the section's class attribute `builder` names.
    """
    hosted = _builder(type(section))(name, section)
    overridden(hosted.driver.points, section.points, source=f"devices.{name}.points")
    return msgspec.structs.replace(
        hosted,
        title=section.title or hosted.title or name,
        group=section.group or hosted.group,
        simulated=simulated,
    )


def _builder(section: type[DeviceSection]) -> Callable[[str, DeviceSection], Hosted]:
    module, _, function = (section.builder or f"{section.__module__.rpartition('.')[0]}.build:build").partition(":")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the driver of {section.__name__} cannot be loaded from {module}: {error}",
            suggestion="install what it needs, or correct the section's `builder`",
        ) from error
