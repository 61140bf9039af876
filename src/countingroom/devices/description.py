"""The `devices` section: device name -> section of its driver. Reading it imports no driver.

Drivers of other packages join by an entry point in the group `countingroom.drivers` that names their section class.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, NamedTuple, cast, get_args

from pydantic import GetCoreSchemaHandler, RootModel
from pydantic_core import CoreSchema, core_schema

from countingroom.core.derived.order import loop
from countingroom.core.errors import ConfigurationError
from countingroom.core.yaml.section import AreaName, Name
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.drivers.derived.description import DerivedSection
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.secop.description import SecopSection
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.switchbox.description import SwitchboxSection
from countingroom.devices.drivers.text.description import TextSection
from countingroom.devices.section import DeviceSection, Problem

GROUP = "countingroom.drivers"

OURS: tuple[type[DeviceSection], ...] = (
    CaenSection,
    DerivedSection,
    EpicsSection,
    JulaboSection,
    MartaSection,
    ModbusSection,
    MqttSensorsSection,
    SecopSection,
    SnmpSection,
    SwitchboxSection,
    TextSection,
)


def kind_of(section: type[DeviceSection]) -> str:
    """The value of `driver:` that selects this section."""
    field = section.model_fields.get("driver")
    words = get_args(field.annotation) if field else ()
    if len(words) != 1 or not isinstance(words[0], str):
        raise ConfigurationError(
            f"{section.__name__} does not name its driver",
            suggestion='give the class `driver: Literal["…"]` with one word',
        )
    return words[0]


@cache
def sections() -> dict[str, type[DeviceSection]]:
    """Every driver's section by the value of `driver:`. A package cannot replace a driver that ships."""
    known = {kind_of(section): section for section in OURS}
    for entry in entry_points(group=GROUP):
        section = entry.load()
        if not (isinstance(section, type) and issubclass(section, DeviceSection)):
            raise ConfigurationError(
                f"the entry point {entry.name} = {entry.value} of group {GROUP} is not a DeviceSection",
                suggestion="let it name the class of the driver's section",
            )
        known.setdefault(kind_of(section), section)
    return known


class _ChosenByDriver:
    """Validates a device by the section that its `driver` names."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(section) for kind, section in sections().items()}
        return core_schema.tagged_union_schema(cast("dict[Any, CoreSchema]", choices), discriminator="driver")


class Clash(NamedTuple):
    """A value that two devices have and only one can have."""

    devices: tuple[str, str]
    keys: tuple[str, ...]
    """The keys of their sections that it comes from."""
    problem: Problem


class DevicesSection(RootModel[dict[Name, Annotated[DeviceSection, _ChosenByDriver()]]]):
    """Device name -> its driver's section."""

    root: dict[Name, Annotated[DeviceSection, _ChosenByDriver()]] = {}

    def items(self) -> ItemsView[str, DeviceSection]:
        """The devices in the order of the description."""
        return self.root.items()

    def own_areas(self) -> Iterator[AreaName]:
        """The areas that devices name."""
        for name, section in self.root.items():
            if section.area:
                yield AreaName(path=(name, "area"), subject=f"device.{name}", area=section.area)

    def problems(self) -> Iterator[Problem]:
        """Values that two devices have and only one can have, and derived points that cannot be computed."""
        yield from (clash.problem for clash in self.clashes())
        yield from self._wrong_inputs()

    def _wrong_inputs(self) -> Iterator[Problem]:
        """Derived points that need a point of no device, or themselves."""
        inputs: dict[str, tuple[str, ...]] = {}
        for name, section in self.root.items():
            if isinstance(section, DerivedSection):
                inputs |= section.inputs(name)
        for address, needed in inputs.items():
            device, _, point = address.partition(".")
            for one in needed:
                if (other := one.partition(".")[0]) not in self.root:
                    hint = did_you_mean(other, self.root)
                    yield (device, "values", point, "value"), f"{one}: no device is named {other}{hint}"
        if found := loop(inputs):
            device, _, point = found[0].partition(".")
            yield (device, "values", point, "value"), f"it depends on itself: {' → '.join(found)}"

    def clashes(self) -> Iterator[Clash]:
        """Values that two devices have and only one can have, with the two devices."""
        owners: dict[tuple[str | int, ...], str] = {}
        for name, section in self.root.items():
            for one in section.unshared():
                owner = owners.setdefault((one.key, one.value, *one.within), name)
                if owner != name:
                    message = f"{one.value} is the {one.key} of device {owner} already: {one.reason}"
                    yield Clash(devices=(owner, name), keys=(one.key, *one.keys), problem=((name, one.key), message))

    def __getitem__(self, name: str) -> DeviceSection:
        return self.root[name]

    def __len__(self) -> int:
        return len(self.root)
