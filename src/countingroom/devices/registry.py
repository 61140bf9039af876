"""Makes a device from its section of the description. A driver's code is imported when its first device is made."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature

import msgspec
from msgspec import Struct

from countingroom.core.errors import ConfigurationError
from countingroom.core.points import Point
from countingroom.devices.behaviour import Behaviour
from countingroom.devices.calibrations import NONE, Calibrations
from countingroom.devices.point_overrides import overridden, overridden_commands
from countingroom.devices.port import Driver
from countingroom.devices.resources import SharedResources
from countingroom.devices.section import DeviceSection


class Hosted(Struct, frozen=True, kw_only=True):
    """A device that a host can run: the return value of a driver's `build(name, section)`."""

    name: str
    title: str
    group: str
    """Heading in the navigation."""
    location: str = ""
    """Address of the device: `serial:/dev/ttyUSB0`, `modbus://10.0.0.3:502`."""
    simulated: bool = False
    driver: Driver
    behaviour: Behaviour
    section: DeviceSection
    channel_labels: dict[str, str] = {}
    """Channel -> the load that it supplies (its module)."""
    calibrations: Calibrations = NONE

    def in_force(self, points: tuple[Point, ...]) -> tuple[Point, ...]:
        """These points of the driver with calibrations and with the overrides of the section."""
        return overridden(self.calibrations.points(points), self.section.points)

    @property
    def points(self) -> tuple[Point, ...]:
        """All points of the device, as they are in force."""
        return self.in_force(self.driver.points)


def build(
    name: str, section: DeviceSection, *, simulated: bool = False, resources: SharedResources | None = None
) -> Hosted:
    """The device of this section, not connected yet. ConfigurationError when it cannot work.

    The builder is the function `build(name, section) -> Hosted` in the module `build` beside the section's own module,
    or the `module:function` that the section's class attribute `builder` names. A builder with a third parameter named
    `resources` receives the resources of the host.
    """
    builder = _builder(type(section))
    if "resources" in signature(builder).parameters:
        if resources is None:
            raise TypeError(f"the driver of {type(section).__name__} needs the resources of its host")
        hosted = builder(name, section, resources=resources)
    else:
        hosted = builder(name, section)
    calibrations = NONE
    if section.calibration:
        calibrations = Calibrations(section.calibration, hosted.driver.points, device=name)
    _check_overrides(hosted, section, calibrations)
    return msgspec.structs.replace(
        hosted,
        calibrations=calibrations,
        title=section.title or hosted.title or name,
        group=section.group or hosted.group,
        simulated=simulated,
    )


def _check_overrides(hosted: Hosted, section: DeviceSection, calibrations: Calibrations) -> None:
    """Raise ConfigurationError with all points and commands that the section changes and the device does not have."""
    wrong: list[ConfigurationError] = []
    try:
        overridden(calibrations.points(hosted.driver.points), section.points, source=f"devices.{hosted.name}.points")
    except ConfigurationError as error:
        wrong.append(error)
    try:
        overridden_commands(hosted.behaviour.commands, section.commands, source=f"devices.{hosted.name}.commands")
    except ConfigurationError as error:
        wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        causes = [cause for error in wrong for cause in error.cause.causes or (error.cause,)]
        message = ", and ".join(error.cause.message for error in wrong)
        raise ConfigurationError(message, source=f"devices.{hosted.name}", causes=tuple(causes))


def builder_module(section: type[DeviceSection]) -> str:
    """The module with the builder of this kind of device."""
    return _builder_path(section).partition(":")[0]


def _builder_path(section: type[DeviceSection]) -> str:
    return section.builder or f"{section.__module__.rpartition('.')[0]}.build:build"


def _builder(section: type[DeviceSection]) -> Callable[..., Hosted]:
    module, _, function = _builder_path(section).partition(":")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the driver of {section.__name__} cannot be loaded from {module}: {error}",
            suggestion="install what it needs, or correct the section's `builder`",
        ) from error
