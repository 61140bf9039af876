"""The section `alarms` of the description: areas with guidance, changes to single alarms, alarms of one's own.

Every limit, link and state of the experiment is an alarm without a line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.alarms.sections.inherited import BehaviourKeys, InheritedKeys, Problem, Rank, Texts
from countingroom.alarms.sections.interlocks import InterlockSection
from countingroom.alarms.sections.notify import NotifySection
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core.policy import Principal, Role
from countingroom.core.rules.specs import principal_of
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean

_HOUR = 3600.0
LONGEST_SHELF_S = {"1": _HOUR, "2": 8 * _HOUR, "3": 24 * _HOUR, "4": 7 * 24 * _HOUR}
"""Priority -> the longest time that its alarms may be shelved, where the description names none."""

MEMBERS = ("devices", "points", "channels", "partitions", "systems", "roles", "nodes", "services")
"""Keys of an area that name what is in it."""
KINDS_OF_ALARM = (
    *("point", "value", "device", "channel", "partition", "member", "role", "backup", "fleet", "node", "service"),
    *("mirror", "custom", "interlock"),
)
"""First words of the identities of alarms."""


def _with_defaults(given: Any) -> Any:
    return {**LONGEST_SHELF_S, **given} if isinstance(given, dict) else given  # pyright: ignore[reportUnknownVariableType]


def _alarm_pattern(value: str) -> str:
    first = value.partition(".")[0]
    if "*" not in first and "?" not in first and "[" not in first and first not in KINDS_OF_ALARM:
        raise ValueError(f"the identity of an alarm begins with {', '.join(KINDS_OF_ALARM)}; got {value!r}")
    return value


AlarmPattern = Annotated[str, AfterValidator(_alarm_pattern)]
"""Identity of an alarm, or a pattern with `*`: `point.caen.*.lv_temp`, `device.*.link`, `custom.dew_point`."""
LongestShelf = Annotated[
    dict[Literal["1", "2", "3", "4"], Annotated[Seconds, Field(gt=0)]], BeforeValidator(_with_defaults)
]


class AreaSection(InheritedKeys):
    """A part of the experiment. Its alarms and the areas in it inherit what it says."""

    title: str = ""
    """For display; the name where empty."""
    devices: Texts = []
    """Its devices: names, or patterns with `*`."""
    points: Texts = []
    """Single points, `<device>.<point>`, or patterns: `caen.*.lv_temp`. They come before devices."""
    channels: Texts = []
    """Single channels with their points, `<device>.<channel>`, or patterns. They come before devices."""
    partitions: Texts = []
    systems: Texts = []
    """Systems as members of any partition. They come before partitions."""
    roles: Texts = []
    """Processes of the control system: `history`, `runs`."""
    nodes: Texts = []
    """Nodes of the fleet."""
    services: Texts = []
    """Services of the fleet."""
    areas: dict[Name, AreaSection] = {}
    """Areas in this one."""

    def below(self, path: str) -> Iterator[tuple[str, AreaSection]]:
        """This area, which has this path, and all in it: (path, area), the outer one first."""
        yield path, self
        for name, area in self.areas.items():
            yield from area.below(f"{path}/{name}")


class OverrideSection(BehaviourKeys):
    """Changes to alarms of one identity or pattern."""

    off: bool | None = None
    """There is no such alarm. The alarms of points without a usable value (`value.*`) are off where no override
    names them."""


class CustomSection(BehaviourKeys, ConditionKeys):
    """An alarm with a condition of its own."""

    priority: Rank | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """Where it is not given: 3, or those of the limits."""

    def problems(self) -> Iterator[Problem]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Those of both parents, and a count of readings that do not come."""
        yield from BehaviourKeys.problems(self)
        yield from ConditionKeys.problems(self)
        if self.silence and self.count:
            yield ("count",), "readings that did not come cannot be counted; give a longer time instead"


class SuppressionSection(Section):
    """Alarms that are suppressed by design while a condition is true. An unknown condition suppresses nothing."""

    when: ConditionKeys
    alarms: Annotated[
        list[AlarmPattern], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
    ] = []
    """Identities of alarms, or patterns."""
    areas: Texts = []
    """Paths of areas, with all in them."""
    reason: Annotated[str, Field(min_length=1)]
    """For the page: `HV is off while mCBM is Idle`."""

    def problems(self) -> Iterator[Problem]:
        """It suppresses nothing."""
        if not self.alarms and not self.areas:
            yield (), "give alarms or areas that are suppressed"


class AlarmHistorySection(Section):
    """How much is kept of the history of alarms."""

    keep: Annotated[Seconds, Field(gt=0)] = 2 * 365.25 * 24 * _HOUR
    rows: Annotated[int, Field(ge=1000)] = 1_000_000
    """The oldest rows beyond this number are deleted, about 300 bytes each."""


class AlarmsSection(InheritedKeys):
    """Alarms: areas, guidance, priorities. What stands here itself holds for the experiment as a whole."""

    areas: dict[Name, AreaSection] = {}
    """The area tree."""
    overrides: dict[AlarmPattern, OverrideSection] = {}
    """Identity of an alarm, or a pattern with `*` -> changes. Patterns hold in their order, then exact identities."""
    custom: dict[Name, CustomSection] = {}
    """Name -> an alarm with a condition of its own; its identity is `custom.<name>`."""
    suppress: dict[Name, SuppressionSection] = {}
    """Name -> alarms that are suppressed while a condition is true."""
    rules: dict[Name, RuleSection] = {}
    """Name -> logic that acts by itself. Its principal is `rule.<name>`."""
    interlocks: dict[Name, InterlockSection] = {}
    """Name -> causes, effects, and the matrix that leads from one to the other."""
    longest_shelf: LongestShelf = dict(LONGEST_SHELF_S)  # pyright: ignore[reportAssignmentType]
    """Priority -> the longest time for which a person can shelve its alarms."""
    history: AlarmHistorySection = AlarmHistorySection()
    notify: NotifySection = NotifySection()
    """Recipients, times and channels of messages about alarms."""

    def all_areas(self) -> dict[str, AreaSection]:
        """Path -> area, the outer ones first."""
        return {path: area for name, top in self.areas.items() for path, area in top.below(name)}

    @property
    def principals(self) -> dict[str, Principal]:
        """Name -> the principal of each rule, with the roles that its description gives it, and of each interlock,
        which may do what leads towards a safe state."""
        safe = {name: Principal(name=name, role=Role.SHIFTER) for name in map("interlock.{}".format, self.interlocks)}
        named = {principal_of(name): rule for name, rule in self.rules.items()}
        return safe | {
            name: Principal(name=name, role=Role.VIEWER, roles=dict(rule.principal_roles))
            for name, rule in named.items()
        }

    def problems(self) -> Iterator[Problem]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Areas that do not exist, and things in two areas."""
        yield from super().problems()
        known = self.all_areas()
        yield from _in_two_areas(known)
        named: list[tuple[tuple[str | int, ...], str]] = []
        for key, parts in (("overrides", self.overrides), ("custom", self.custom), ("interlocks", self.interlocks)):
            named += [((key, name, "area"), part.area) for name, part in parts.items() if part.area]
        for name, part in self.suppress.items():
            named += [(("suppress", name, "areas", index), area) for index, area in enumerate(part.areas)]
        for name, route in self.notify.routes.items():
            named += [(("notify", "routes", name, "areas", index), area) for index, area in enumerate(route.areas)]
        for path, area in named:
            if area not in known:
                yield path, f"there is no area {area}{did_you_mean(area, known)}"


def _in_two_areas(areas: dict[str, AreaSection]) -> Iterator[Problem]:
    """A thing that two areas name. Patterns may overlap: a deeper area comes first."""
    for kind in MEMBERS:
        owners: dict[str, str] = {}
        for path, area in areas.items():
            for index, name in enumerate(getattr(area, kind)):
                owner = owners.setdefault(name, path)
                if owner != path:
                    yield (*area_place(path), kind, index), f"{name} is in area {owner} already"


def area_place(path: str) -> tuple[str, ...]:
    """Where an area stands within the section: `cooling/chiller` -> areas, cooling, areas, chiller."""
    return tuple(part for name in path.split("/") for part in ("areas", name))
