"""The definitions of all alarms that exist now: of the known devices, partitions, processes and the fleet."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Protocol

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.finding import AlarmSubject
from countingroom.core import numbers, units
from countingroom.core.alarms import identity
from countingroom.core.alarms.chart import ChartRules
from countingroom.core.alarms.definition import AlarmDefinition, Guidance
from countingroom.core.fleet.states import FLEET_KEY
from countingroom.core.messages import Catalogue
from countingroom.core.points import Point

_FIXED = ("custom", "role", "interlock", "backup", "mirror")
"""Kinds of alarms that the description alone defines: they are known before the first message of the bus."""


_OVERDUE_GUIDANCE = Guidance(
    meaning="An alarm was taken out of service for a repair, and should be back by now. It does not warn meanwhile.",
    do=("Ask its owner.", "Put it in service again, or give it a new due date."),
    if_not="A fault that it should tell stays unseen.",
)


class Defines(Protocol):
    """Defines alarms by the description (`alarms/definitions.py`). Alarms that are switched off are left out."""

    @property
    def section(self) -> AlarmsSection: ...
    @property
    def longest_shelf_s(self) -> Mapping[int, float]: ...
    def of_device(self, catalogue: Catalogue) -> Iterator[AlarmDefinition]: ...
    def of_point(self, catalogue: Catalogue, point: Point) -> AlarmDefinition | None: ...
    def of_partition(self, partition: str, systems: Iterable[str], title: str = "") -> Iterator[AlarmDefinition]: ...
    def of_role(self, role: str) -> Iterator[AlarmDefinition]: ...
    def of_keeper(self) -> Iterator[AlarmDefinition]: ...
    def of_node(self, node: str) -> Iterator[AlarmDefinition]: ...
    def of_service(self, service: str) -> Iterator[AlarmDefinition]: ...
    def of_told(self) -> Iterator[AlarmDefinition]: ...
    def of_customs(self) -> Iterator[AlarmDefinition]: ...
    def of_interlocks(self) -> Iterator[AlarmDefinition]: ...


class KnownAlarms:
    """Finds the definition of an alarm by its identity."""

    def __init__(
        self,
        definitions: Defines,
        roles: Iterable[str] = (),
        described: Container[str] | None = None,
        *,
        perhaps: Iterable[str] = (),
    ) -> None:
        """`roles`: the processes that the experiment needs. `perhaps`: processes of which this one cannot know whether
        the experiment needs them. `described`: the devices of the description; None: unknown."""
        self._definitions = definitions
        self._described = described
        self._all_known = False
        self._perhaps = frozenset(identity.of_role(role) for role in perhaps)
        self._existing: Container[str] | None = None
        self._catalogues: dict[str, Catalogue] = {}
        self._systems: dict[str, frozenset[str]] = {}
        self._fixed = {one.id: one for role in roles for one in definitions.of_role(role)}
        self._fixed |= {one.id: one for one in definitions.of_told()}
        self._fixed |= {one.id: one for one in definitions.of_customs()}
        self._fixed |= {one.id: one for one in definitions.of_interlocks()}
        self._rules: dict[tuple[bool, int], ChartRules] = {}
        """(latching, priority) -> rules; kept because each step of each alarm needs them."""
        self._of_devices: dict[str, dict[str, AlarmDefinition]] = {}
        self._of_partitions: dict[str, dict[str, AlarmDefinition]] = {}
        self._of_fleet: dict[str, dict[str, AlarmDefinition]] = {}
        """`fleet.main`, `node.<node>` or `service.<service>` -> its alarms."""

    def complete(self) -> None:
        """Take in that the wait after the start is over: a device is known now, or is described, or does not exist."""
        self._all_known = True

    def exist(self, partitions: Container[str]) -> None:
        """Take in all partitions that exist. Other partitions were deleted, perhaps while no engine ran."""
        self._existing = partitions

    def learn(self, catalogue: Catalogue) -> None:
        """Take in the catalogue of a new or changed device."""
        self._catalogues[catalogue.device] = catalogue
        self._of_devices[catalogue.device] = {one.id: one for one in self._definitions.of_device(catalogue)}

    def forget(self, device: str) -> None:
        """Take in that a device is no longer described."""
        self._catalogues.pop(device, None)
        self._of_devices.pop(device, None)

    def partition(self, partition: str, systems: Iterable[str]) -> bool:
        """Take in a partition and its members. Returns whether that is new."""
        members = frozenset(systems)
        if self._systems.get(partition) == members:
            return False
        self._systems[partition] = members
        defined = self._definitions.of_partition(partition, sorted(members))
        self._of_partitions[partition] = {one.id: one for one in defined}
        return True

    def forget_partition(self, partition: str) -> None:
        """Take in that a partition was deleted."""
        self._systems.pop(partition, None)
        self._of_partitions.pop(partition, None)

    def fleet(self, key: str) -> bool:
        """Take in a node or service of the fleet by its key in the state bucket. Returns whether it is new."""
        if key in self._of_fleet:
            return False
        kind, _, name = key.partition(".")
        make = {"node": self._definitions.of_node, "service": self._definitions.of_service}.get(kind)
        self._of_fleet[key] = {one.id: one for one in (make(name) if make else self._definitions.of_keeper())}
        return True

    def forget_fleet(self, key: str) -> None:
        """Take in that a node or service was removed from the fleet."""
        self._of_fleet.pop(key, None)

    def define(self, subject: AlarmSubject) -> AlarmDefinition | None:
        """The definition of an alarm; None if the description has switched it off. A definition without a title means
        that its device or partition is not known yet."""
        of_device = self._of_devices.get(subject.device)
        if of_device is not None and (known := of_device.get(subject.id)) is not None:
            return known  # the quick path: in a flood nearly all alarms end here
        if (known := self.find(subject.id)) is not None:
            return known
        if identity.overdue(subject.id):
            return AlarmDefinition(id=subject.id, title="")  # it is closed together with the alarm that it is about
        kind = subject.id.partition(".")[0]
        if kind in _FIXED:
            return AlarmDefinition(id=subject.id, title="") if subject.id in self._perhaps else None
        catalogue = self._catalogues.get(subject.device)
        if catalogue is not None:
            if kind != "point":
                return None
            # A device can give an alarm to a value that has no limits.
            point = next((one for one in catalogue.points if one.name == subject.point), None)
            return None if point is None else self._definitions.of_point(catalogue, point)
        if subject.partition in self._of_partitions or self._is_gone(subject):
            return None
        if identity.is_of_fleet(subject.id) and _fleet_key(subject.id) in self._of_fleet:
            return None
        return AlarmDefinition(id=subject.id, title="")

    def _is_gone(self, subject: AlarmSubject) -> bool:
        """Whether the device or partition of an alarm does not exist any more. It may have been removed while no engine
        ran. The bus alone cannot tell: after a restart it is empty, which must not close alarms. So the description and
        the database decide."""
        if not self._all_known:
            return False
        if partition := subject.partition:
            return self._existing is not None and partition not in self._existing
        if identity.is_of_fleet(subject.id):
            return FLEET_KEY in self._of_fleet  # then the keeper has published all nodes and services
        device = subject.device
        return bool(device) and self._described is not None and device not in self._described

    def find(self, id: str) -> AlarmDefinition | None:
        """The definition of an alarm by its identity; None if there is no such alarm."""
        if (known := self._fixed.get(id)) is not None:
            return known
        if of := identity.overdue(id):
            base = self.find(of)
            return None if base is None else _overdue(base)
        name = id.partition(".")[2].partition(".")[0]
        of_device = self._of_devices.get(name)
        if of_device is not None and (known := of_device.get(id)) is not None:
            return known
        of_partition = self._of_partitions.get(name)
        if of_partition is not None and (known := of_partition.get(id)) is not None:
            return known
        if not self._of_fleet or not identity.is_of_fleet(id):
            return None
        return self._of_fleet.get(_fleet_key(id), {}).get(id)

    def in_area(self, area: str) -> set[str]:
        """Identities of the alarms of an area and of the areas below it."""
        below = f"{area}/"
        return {one.id for one in self.every() if one.area == area or one.area.startswith(below)}

    def rules(self, definition: AlarmDefinition, priority: int) -> ChartRules:
        """The rules of the alarm's chart at this priority."""
        which = definition.latching, priority
        rules = self._rules.get(which)
        if rules is None:
            longest_s = self._definitions.longest_shelf_s.get(priority, 0.0)
            rules = ChartRules(latching=definition.latching, longest_shelf_ns=round(longest_s * 1e9))
            self._rules[which] = rules
        return rules

    def longest_shelf_s(self, definition: AlarmDefinition) -> float:
        """The longest time, in s, for which an alarm of its most urgent priority may be shelved."""
        return self._definitions.longest_shelf_s.get(min(definition.priorities), 0.0)

    def condition(self, definition: AlarmDefinition) -> str:
        """The condition as text: `warning above 30 °C · alarm above 35 °C`; empty if it has no point."""
        catalogue = self._catalogues.get(definition.device)
        points = catalogue.points if catalogue and definition.point else ()
        point = next((one for one in points if one.name == definition.point), None)
        if point is None:
            return ""
        if point.severity:
            return point.description or f"{point.label or point.name} is set"
        return " · ".join(_limits(point))

    def catalogue(self, device: str) -> Catalogue | None:
        """The catalogue of a device; None if the device is not known."""
        return self._catalogues.get(device)

    def customs(self) -> dict[str, AlarmDefinition]:
        """Name of a custom alarm -> its definition, for all that are on."""
        return {one.custom: one for one in self._fixed.values() if one.custom}

    def point(self, address: str) -> Point | None:
        """The point with the address `<device>.<point>`; None if no known device has it."""
        device, _, name = address.partition(".")
        catalogue = self._catalogues.get(device)
        return next((one for one in catalogue.points if one.name == name), None) if catalogue else None

    def every(self) -> Iterator[AlarmDefinition]:
        """The definitions of all alarms that exist now."""
        yield from self._fixed.values()
        for group in (*self._of_devices.values(), *self._of_partitions.values(), *self._of_fleet.values()):
            yield from group.values()

    def suppressible(self) -> Iterator[AlarmDefinition]:
        """The alarms that can be suppressed. Without a section `suppress` these are the alarms of the fleet only; with
        100,000 alarms it is worth not to look at all."""
        if self._definitions.section.suppress:
            yield from self.every()
            return
        for group in self._of_fleet.values():
            yield from group.values()


def _fleet_key(id: str) -> str:
    """The key of the state of which an alarm of the fleet tells."""
    return FLEET_KEY if id == identity.FLEET_KEEPER else id.rpartition(".")[0]


def _overdue(of: AlarmDefinition) -> AlarmDefinition:
    """The definition of the alarm which says that another alarm is out of service after its due date."""
    return AlarmDefinition(
        id=identity.of_overdue(of.id),
        area=of.area,
        title=f"{of.title} / out of service",
        guidance=_OVERDUE_GUIDANCE,
        contact=of.contact,
    )


def _limits(point: Point) -> Iterator[str]:
    limits = point.limits
    unit = f" {units.written(point.unit)}" if point.unit else ""
    for word, low, high in (
        ("warning", limits.warning_low, limits.warning_high),
        ("alarm", limits.alarm_low, limits.alarm_high),
    ):
        if low is not None:
            yield f"{word} below {numbers.limit(low, point.precision)}{unit}"
        if high is not None:
            yield f"{word} above {numbers.limit(high, point.precision)}{unit}"
