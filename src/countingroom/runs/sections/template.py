"""The section of a template: how partitions of a kind are configured, started, stopped and recovered.

A template consists of data only; a new kind of partition needs no code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.planner.template import ALL, DETECTORS, EVENTS, Condition, Hook, Level, RecoveryPolicy, Template
from countingroom.runs.sections.agent import Argv

Problem = tuple[tuple[str | int, ...], str]
Duration = Annotated[Seconds, Field(gt=0)]


class LevelSection(Section):
    """Systems that are configured in parallel, after all earlier levels."""

    name: Name
    """Used in the names of its states: `Configuring_<name>` and `<name>_Active`."""
    members: Annotated[list[Name], Field(min_length=1)]
    """Global systems; `detectors` stands for all detectors of the partition."""
    loss: Name | None = None
    """Event of the chart when the level is no longer ready. Default: `error_<name>`."""
    expendable: list[Name] = []
    """Members that may be missing; `detectors` stands for all detectors."""
    minimum: Annotated[int, Field(ge=0)] = 0
    """Minimum number of ready members, including expendable ones."""
    deadline: Duration = 30.0
    """Time in which one member must be configured."""

    @property
    def event(self) -> str:
        """The event of the chart when the level is no longer ready."""
        return self.loss or f"error_{self.name}"


class RecoverySection(Section):
    """Automatic recovery after a failure, before an operator has to act."""

    attempts: Annotated[int, Field(ge=1)] = 1
    """Total number of attempts to configure a member before it counts as failed."""
    exclude_expendable: bool = False
    """Exclude an expendable member that failed; the other members continue."""
    fall_back: bool = False
    """When a level cannot become ready, abort this level and all above it, down to the level below."""
    resume: bool = False
    """After a loss, configure again up to the goal. Recording is never restarted automatically."""


class HookSection(Section):
    """A program that runs during a transition: started at one hook point, awaited at the same or a later one."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=True)

    command: Argv
    """`{partition}`, `{run}`, `{tag}` and `{goal}` are replaced by their values."""
    trigger: str
    """Hook point of its start: `before` or `after`, followed by `configure LEVEL`, `start` or `stop`."""
    awaited: Annotated[str, Field(alias="await")] = ""
    """Hook point at which it must have ended. Default: its trigger."""
    deadline: Duration = 30.0
    critical: bool = True
    """Its failure ends the transition to the goal, but never a stop. A failure of a hook that is not critical is only
    reported."""


def _with_point(given: Any) -> Any:
    return {"point": given} if isinstance(given, str) else given


class ConditionSection(Section):
    """A value that runs depend on: `co2.TT05_CO2`, or with limits `{point: co2.TT05_CO2, high: -20}`."""

    point: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-.]+$")]
    """`DEVICE.POINT`."""
    low: float | None = None
    """In the unit of the point. A run is degraded while the value is below it."""
    high: float | None = None
    """A run is degraded while the value is above it."""

    @property
    def condition(self) -> Condition:
        """The condition as a value."""
        return Condition(point=self.point, low=self.low, high=self.high)


ConditionList = list[
    Annotated[ConditionSection, BeforeValidator(_with_point, json_schema_input_type=str | ConditionSection)]
]


def condition_problems(conditions: Sequence[ConditionSection]) -> Iterable[Problem]:
    """Conditions that are named twice, or that no value can meet."""
    points = [one.point for one in conditions]
    for index, one in enumerate(conditions):
        if one.point in points[:index]:
            yield ("conditions", index), f"{one.point} is a condition already"
        if one.low is not None and one.high is not None and one.low > one.high:
            yield ("conditions", index), f"low {one.low:g} is above high {one.high:g}"


class TemplateSection(Section):
    """The levels, recorders, times, recovery and hooks of a kind of partition."""

    levels: Annotated[list[LevelSection], Field(min_length=1)]
    """From the lowest to the highest."""
    recorders: list[Name] = []
    """Started in this order when all levels are ready. The partition is in Recording when all of them record. An entry
    is a global system, a detector, `all`, `detectors`, a level or a group of systems; the systems of one entry that
    take data start in parallel. A system that is named by itself is in no other entry: `[all, TFC]` starts TFC last."""
    stop_order: list[Name] = []
    """Stopped in this order: the same entries. Default: the order of starting."""
    idle: Name = "Idle"
    recording: Name = "Recording"
    start: Duration = 10.0
    """Time in which one recorder must start."""
    stop: Duration = 10.0
    abort: Duration = 10.0
    recovery: RecoverySection = RecoverySection()
    hooks: dict[Name, HookSection] = {}
    conditions: ConditionList = []
    """Values of devices that are kept at the beginning and the end of a run. While one is outside its limits, STALE or
    BAD, the run is `degraded`."""

    @property
    def systems(self) -> tuple[str, ...]:
        """All global systems that the levels name."""
        return tuple(name for level in self.levels for name in level.members if name != DETECTORS)

    def template(self, name: str) -> Template:
        """The template as a value for the planner."""
        return Template(
            name=name,
            levels=tuple(
                Level(
                    name=level.name,
                    members=tuple(level.members),
                    loss=level.event,
                    expendable=tuple(level.expendable),
                    minimum=level.minimum,
                    configure_s=level.deadline,
                )
                for level in self.levels
            ),
            recorders=tuple(self.recorders),
            stop_order=tuple(self.stop_order),
            idle=self.idle,
            recording=self.recording,
            start_s=self.start,
            stop_s=self.stop,
            abort_s=self.abort,
            recovery=RecoveryPolicy(**self.recovery.model_dump()),
            hooks=tuple(
                Hook(
                    name=key,
                    command=tuple(hook.command),
                    trigger=hook.trigger,
                    awaited=hook.awaited or hook.trigger,
                    deadline_s=hook.deadline,
                    critical=hook.critical,
                )
                for key, hook in self.hooks.items()
            ),
            conditions=tuple(one.condition for one in self.conditions),
        )

    def problems(self) -> Iterable[Problem]:
        """Inconsistencies between its keys."""
        yield from self._levels()
        yield from self._recorders()
        yield from condition_problems(self.conditions)
        template = self.template("")
        levels = [state for level in template.levels for state in (level.configuring, level.active)]
        for name, times in Counter([self.idle, self.recording, *levels]).items():
            if times > 1:
                yield (), f"two states are called {name}"
        hook_points = template.hook_points
        for name, hook in self.hooks.items():
            for key, hook_point in (("trigger", hook.trigger), ("await", hook.awaited or hook.trigger)):
                if hook_point not in hook_points:
                    yield ("hooks", name, key), f"{hook_point!r} is no moment{did_you_mean(hook_point, hook_points)}"

    def _levels(self) -> Iterable[Problem]:
        owners: dict[str, str] = {}
        events: dict[str, str] = {}
        for index, level in enumerate(self.levels):
            spot = ("levels", index)
            for system in level.members:
                owner = owners.setdefault(system, level.name)
                if owner != level.name or level.members.count(system) > 1:
                    yield (*spot, "members"), f"{system} is a member of {owner} already"
            for system in level.expendable:
                if system not in level.members:
                    yield (*spot, "expendable"), f"{system} is no member{did_you_mean(system, level.members)}"
            if level.event in EVENTS:
                yield (*spot, "loss"), f"{level.event} is an event of every partition; give this loss a name of its own"
            elif events.setdefault(level.event, level.name) != level.name:
                yield (*spot, "loss"), f"{level.event} is the event of {events[level.event]} already"
            if DETECTORS not in level.members and level.minimum > len(level.members):
                yield (*spot, "minimum"), f"there are {len(level.members)} members only"

    def _recorders(self) -> Iterable[Problem]:
        if len(set(self.recorders)) != len(self.recorders):
            yield ("recorders",), "a recorder is named twice"
        if self.stop_order and sorted(self.stop_order) != sorted(self.recorders):
            yield ("stop_order",), f"must name every recorder once: {', '.join(self.recorders) or 'there is none'}"

    def unknown_recorders(self, detectors: Iterable[str], groups: Iterable[str]) -> Iterable[Problem]:
        """Recorders that are no system, level or group. `detectors` and `groups`: those of the description."""
        known = dict.fromkeys((*self.systems, *detectors, ALL, DETECTORS, *(one.name for one in self.levels), *groups))
        for index, name in enumerate(self.recorders):
            if name not in known:
                why = "is a member of no level, no detector, level or group"
                yield ("recorders", index), f"{name} {why}{did_you_mean(name, known)}"
