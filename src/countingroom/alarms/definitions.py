"""The definition of every alarm, from the section `alarms` and from what devices and run control publish. Pure.

An alarm is defined when its device, partition or process becomes known. A hundred thousand are defined within a second,
so what their area and the patterns say is looked up once for each device and not for each alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import structs

from countingroom.alarms import effective
from countingroom.alarms.description import MEMBERS, AlarmsSection, AreaSection, OverrideSection
from countingroom.alarms.effective import Effective, Kinds, completed
from countingroom.alarms.fleet_kinds import KEEPER, NODES, SERVICES, FleetKind
from countingroom.alarms.patterns import Patterns
from countingroom.alarms.sections.inherited import BehaviourKeys
from countingroom.alarms.sections.interlocks import interlock_priority
from countingroom.core.alarms import identity
from countingroom.core.alarms.definition import AlarmArea, AlarmDefinition, Count, Guidance
from countingroom.core.messages import Catalogue
from countingroom.core.points import Limits, Point

_PLAIN = {"latching": "latching", "on_delay": "on_delay_s", "off_delay": "off_delay_s", "hysteresis": "hysteresis"}
"""Key of the description -> field of the definition."""
_BACKUPS = {identity.BACKUP_FAILED: "last backup", identity.BACKUP_LATE: "age of the last backup"}
_CANARY = Guidance(
    meaning="A text that stands in a trap and must never leave was about to leave. The record was held back.",
    do=(
        "See the log of the role mirror: which kind of record it was.",
        "Find the field: countingroom mirror explain, with a record of that kind.",
        "Take the field out of mirror.publish, or give it a narrower rule.",
    ),
    if_not="What stands beside the canary may leave.",
)
_NO_LIMITS = Limits()
_Overrides = Patterns[OverrideSection]


class Definitions:
    """Defines alarms by one section. `own_areas`: `device.<name>`, `system.<name>` or `partition.<name>` -> the area
    that the thing itself names."""

    def __init__(
        self,
        section: AlarmsSection,
        own_areas: Mapping[str, str] | None = None,
        *,
        has_backups: bool = False,
        has_canaries: bool = False,
    ) -> None:
        """`has_backups`: whether backups are made at fixed times; `has_canaries`: whether the mirror knows canaries."""
        self._has_canaries = has_canaries
        self.section = section
        self._has_backups = has_backups
        self.longest_shelf_s = {int(priority): longest for priority, longest in section.longest_shelf.items()}
        areas = section.all_areas()
        self._own = dict(own_areas or {})
        self._effective = _inherited(section, areas)
        self.areas = {path: _area(path, areas.get(path), one) for path, one in self._effective.items()}
        """Path -> area with what it has inherited; the empty path is the experiment as a whole."""
        self._priorities: dict[tuple[str, Kinds], tuple[int, int, int, int]] = {}
        # A deeper area comes first: it says more exactly what it is about.
        deepest = sorted(areas.items(), key=lambda item: -item[0].count("/"))
        self._members = {
            kind: Patterns([(text, path) for path, area in deepest for text in getattr(area, kind)]) for kind in MEMBERS
        }
        self._overrides: _Overrides = Patterns(section.overrides.items())
        self._suppressed = Patterns((text, name) for name, one in section.suppress.items() for text in one.alarms)
        self._suppressed_areas = [(area, name) for name, one in section.suppress.items() for area in one.areas]

    def take_areas(self, own_areas: Mapping[str, str]) -> None:
        """Other areas that things name themselves. They count for what is defined from now on."""
        self._own = dict(own_areas)

    def of_device(self, catalogue: Catalogue) -> Iterator[AlarmDefinition]:
        """The alarms of a device: its state, its link, those of its channels and of its points with limits, and those
        of points without a usable value that an override names."""
        device, title = catalogue.device, catalogue.title or catalogue.device
        home = self._home(device)
        about: dict[str, Any] = {"device": device}
        yield from self._defined(identity.of_device_state(device), home, title, effective.STATE, about)
        yield from self._defined(identity.of_link(device), home, f"{title} / link", effective.LINK, about)
        for channel in catalogue.channels:
            area = self._members["channels"].first(f"{device}.{channel}") or home
            of = identity.of_channel(device, channel)
            about = {"device": device, "channel": channel}
            yield from self._defined(of, area, _channel_title(title, channel), effective.STATE, about)
        yield from self._of_points(catalogue, [point for point in catalogue.points if has_limits(point)])
        values = self._overrides.beginning(f"value.{device}.")
        if values is None:
            return
        for point in catalogue.points:
            of = identity.of_value(device, point.name)
            if sections := values.all(of):
                area, about = self._area_of_point(device, point), _about(device, point)
                yield from self._with(of, area, _point_title(title, point), effective.VALUE, about, sections)

    def of_point(self, catalogue: Catalogue, point: Point) -> AlarmDefinition | None:
        """The alarm of one point, also where it has no limits: a device can give an alarm to any value. None: it is
        off."""
        return next(self._of_points(catalogue, [point]), None)

    def of_partition(self, partition: str, systems: Iterable[str], title: str = "") -> Iterator[AlarmDefinition]:
        """The alarms of a partition and of its members."""
        home = self._own.get(f"partition.{partition}") or self._members["partitions"].first(partition) or ""
        about: dict[str, Any] = {"partition": partition}
        title = title or partition
        kinds = effective.RUN_CONTROL
        yield from self._defined(identity.of_owner(partition), home, f"{title} / owner", kinds, about)
        yield from self._defined(identity.of_goal(partition), home, title, kinds, about)
        for system in systems:
            area = self._own.get(f"system.{system}") or self._members["systems"].first(system) or home
            of = identity.of_member(partition, system)
            yield from self._defined(of, area, f"{title} / {system}", kinds, {**about, "system": system})

    def of_role(self, role: str) -> Iterator[AlarmDefinition]:
        """The alarm of a process of the control system."""
        area = self._members["roles"].first(role) or ""
        yield from self._defined(identity.of_role(role), area, f"process {role}", effective.ROLE, {"role": role})

    def of_keeper(self) -> Iterator[AlarmDefinition]:
        """The alarm of the keeper of the fleet."""
        yield from self._of_fleet(identity.FLEET_KEEPER, "", f"fleet / {KEEPER.title}", KEEPER, "", "/fleet")

    def of_node(self, node: str) -> Iterator[AlarmDefinition]:
        """The alarms of a node of the fleet."""
        area = self._members["nodes"].first(node) or ""
        for what, kind in NODES.items():
            title = f"node {node} / {kind.title}"
            yield from self._of_fleet(identity.of_node(node, what), area, title, kind, node, f"/nodes/{node}")

    def of_service(self, service: str) -> Iterator[AlarmDefinition]:
        """The alarms of a service of the fleet."""
        area = self._members["services"].first(service) or ""
        for what, kind in SERVICES.items():
            title = f"service {service} / {kind.title}"
            of = identity.of_service(service, what)
            yield from self._of_fleet(of, area, title, kind, service, f"/services/{service}")

    def _of_fleet(
        self, of: str, area: str, title: str, kind: FleetKind, name: str, page: str
    ) -> Iterator[AlarmDefinition]:
        """What the description says comes before what the kind brings."""
        about = {"on_delay_s": kind.on_delay_s, "off_delay_s": kind.off_delay_s}
        for one in self._defined(of, area, title, effective.FLEET, about):
            yield structs.replace(
                one,
                guidance=completed(one.guidance, kind.guidance),
                links={"Fleet": page, **one.links},
                suppressions=(*one.suppressions, *(f"{why}/{name}" for why in kind.suppressed)),
            )

    def of_told(self) -> Iterator[AlarmDefinition]:
        """The alarms of the scheduled backups and of the mirror, which their processes tell in their heartbeats."""
        if self._has_canaries:
            of = self._defined(identity.MIRROR_CANARY, "", "canary of the mirror", effective.MIRROR, {})
            yield from (structs.replace(one, guidance=completed(one.guidance, _CANARY)) for one in of)
        for of, title in _BACKUPS.items() if self._has_backups else ():
            yield from self._defined(of, "", title, effective.BACKUP, {})

    def of_customs(self) -> Iterator[AlarmDefinition]:
        """The alarms with conditions of their own."""
        for name, section in self.section.custom.items():
            device, _, point = next((one for _, one in section.points), "").partition(".")
            area = self._area_of_point(device, Point(name=point, channel=point.rpartition(".")[0])) if device else ""
            about = {"custom": name, "device": device, "point": point}
            kinds = effective.POINT if section.limit else effective.CUSTOM
            of = identity.of_custom(name)
            yield from self._with(of, area, name, kinds, about, [section, *self._overrides.all(of)])

    def of_interlocks(self) -> Iterator[AlarmDefinition]:
        """The alarms of interlocks, and of their effects that are not reached. Their priority is 1 where the interlock
        gives no other."""
        for name, section in self.section.interlocks.items():
            area = section.area or ""
            known = (self._effective.get(area) or self._effective[""]).within(section)
            rank = interlock_priority(section)
            title = section.title or name
            effects = [
                (identity.of_effect(name, key), f"{title} / {one.title or key}")
                for key, one in section.effects.items()
                if not one.forbid
            ]
            for of, shown in ((identity.of_interlock(name), title), *effects):
                yield AlarmDefinition(
                    id=of,
                    area=area,
                    title=shown,
                    priorities=(rank, rank, rank, rank),
                    guidance=known.guidance,
                    contact=known.contact,
                    links=known.links,
                )

    def _home(self, device: str) -> str:
        return self._own.get(f"device.{device}") or self._members["devices"].first(device) or ""

    def _area_of_point(self, device: str, point: Point) -> str:
        if found := self._members["points"].first(f"{device}.{point.name}"):
            return found
        of_channel = self._members["channels"].first(f"{device}.{point.channel}") if point.channel else None
        return of_channel or self._home(device)

    def _of_points(self, catalogue: Catalogue, points: Iterable[Point]) -> Iterator[AlarmDefinition]:
        device, title = catalogue.device, catalogue.title or catalogue.device
        begin = f"{device}."
        overrides = self._overrides.beginning(f"point.{begin}")
        named = self._members["points"].beginning(begin)
        homes = {"": self._home(device)}
        for point in points:
            if point.channel not in homes:
                homes[point.channel] = self._members["channels"].first(begin + point.channel) or homes[""]
            area = homes[point.channel]
            if named is not None:
                area = named.first(begin + point.name) or area
            of = identity.of_point(device, point.name)
            kinds = effective.FLAG if point.severity else effective.POINT
            sections = overrides.all(of) if overrides is not None else ()
            if sections:
                yield from self._with(of, area, _point_title(title, point), kinds, _about(device, point), sections)
            else:
                yield self._plain(of, area, _point_title(title, point), kinds, _about(device, point))

    def _defined(
        self, of: str, area: str, title: str, kinds: Kinds, about: Mapping[str, Any]
    ) -> Iterator[AlarmDefinition]:
        if sections := self._overrides.all(of):
            yield from self._with(of, area, title, kinds, about, sections)
        else:
            yield self._plain(of, area, title, kinds, about)

    def _plain(self, of: str, area: str, title: str, kinds: Kinds, about: Mapping[str, Any]) -> AlarmDefinition:
        known = self._effective.get(area) or self._effective[""]
        key = area, kinds
        if key not in self._priorities:
            self._priorities[key] = known.priorities(kinds)
        return AlarmDefinition(
            id=of,
            area=area,
            title=title,
            priorities=self._priorities[key],
            guidance=known.guidance,
            contact=known.contact,
            links=known.links,
            suppressions=self._suppressions(of, area),
            **about,
        )

    def _with(
        self,
        of: str,
        area: str,
        title: str,
        kinds: Kinds,
        about: Mapping[str, Any],
        sections: Iterable[BehaviourKeys],
    ) -> Iterator[AlarmDefinition]:
        """The alarm with the changes of these sections, the last one counts; nothing where it is off."""
        changes: dict[str, Any] = {}
        is_off = False
        for section in sections:
            area = section.area or area
            title = section.title or title
            changes |= _behaviour(section)
            if isinstance(section, OverrideSection) and section.off is not None:
                is_off = section.off
        if is_off:
            return
        known = self._effective.get(area) or self._effective[""]
        for section in sections:
            known = known.within(section)
        yield AlarmDefinition(
            id=of,
            area=area,
            title=title,
            priorities=known.priorities(kinds),
            guidance=known.guidance,
            contact=known.contact,
            links=known.links,
            suppressions=self._suppressions(of, area),
            **{**about, **changes},
        )

    def _suppressions(self, of: str, area: str) -> tuple[str, ...]:
        if not self.section.suppress:
            return ()
        found = self._suppressed.all(of)
        found += [name for path, name in self._suppressed_areas if area == path or area.startswith(f"{path}/")]
        return tuple(dict.fromkeys(found))


def has_limits(point: Point) -> bool:
    """Whether a value of this point alone can be an alarm."""
    return bool(point.severity) or point.limits != _NO_LIMITS


def _inherited(section: AlarmsSection, areas: Mapping[str, AreaSection]) -> dict[str, Effective]:
    found = {"": Effective().within(section)}
    for path, area in areas.items():
        found[path] = found[path.rpartition("/")[0]].within(area)
    return found


def _area(path: str, section: AreaSection | None, known: Effective) -> AlarmArea:
    title = (section.title if section else "") or path.rpartition("/")[2]
    return AlarmArea(path=path, title=title, guidance=known.guidance, contact=known.contact, links=known.links)


def _behaviour(section: BehaviourKeys) -> dict[str, Any]:
    found = {field: given for key, field in _PLAIN.items() if (given := getattr(section, key)) is not None}
    if section.count:
        found["count"] = Count(n=section.count.n, of=section.count.of)
    return found


def _about(device: str, point: Point) -> dict[str, Any]:
    return {"device": device, "channel": point.channel, "point": point.name}


def _channel_title(title: str, channel: str) -> str:
    return f"{title} ch {channel}" if channel.isdecimal() else f"{title} {channel}"


def _point_title(title: str, point: Point) -> str:
    place = _channel_title(title, point.channel) if point.channel else title
    return f"{place} / {point.label or point.column or point.name}"
