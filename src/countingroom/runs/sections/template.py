"""Section of a partition template in the description: the levels and their order, failures, hooks and recorders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import ConfigDict, Field

from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.planner.template import DETECTORS, EVENTS, Hook, Level, RecoveryPolicy, Template
from countingroom.runs.sections.agent import Argv

Problem = tuple[tuple[str | int, ...], str]
Duration = Annotated[Seconds, Field(gt=0)]


class LevelSection(Section):
    """Systems that are configured at the same time, after every level before."""

    name: Name
    """Names its states: `Configuring_<name>` and `<name>_Active`."""
    members: Annotated[list[Name], Field(min_length=1)]
    """Global systems; `detectors` stands for all detectors of the partition."""
    loss: Name | None = None
    """The event when it is no longer ready; `error_<name>` where left out."""
    expendable: list[Name] = []
    """Members that may be missing; with `detectors` among them every detector may."""
    minimum: Annotated[int, Field(ge=0)] = 0
    """At least so many members must be ready, expendable ones counted."""
    deadline: Duration = 30.0
    """For one member's configuring."""

    @property
    def event(self) -> str:
        """The chart's event when it is no longer ready."""
        return self.loss or f"error_{self.name}"


class RecoverySection(Section):
    """What is done about a failure before a person is asked."""

    attempts: Annotated[int, Field(ge=1)] = 1
    """How often a member is configured in all before it counts as failed."""
    exclude_expendable: bool = False
    """An expendable member that failed is excluded, and the others go on."""
    fall_back: bool = False
    """When a level cannot be made ready, what is above and beside it is aborted down to the level below."""
    resume: bool = False
    """After a loss, go up to the goal again. Recording is never begun again by itself."""


class HookSection(Section):
    """A program that is run on the way: begun at one moment, waited for at the same or a later one."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=True)

    command: Argv
    """`{partition}`, `{run}`, `{tag}` and `{goal}` stand for their values."""
    trigger: str
    """When it is begun: `before` or `after`, and `configure LEVEL`, `start` or `stop`."""
    awaited: Annotated[str, Field(alias="await")] = ""
    """When it must be over; its trigger where left out."""
    deadline: Duration = 30.0
    critical: bool = True
    """Its failure ends the way to the goal, but never a stop; that of another is only told."""


class TemplateSection(Section):
    """How a kind of partition is brought up, level by level, and taken down."""

    levels: Annotated[list[LevelSection], Field(min_length=1)]
    """From the lowest."""
    recorders: list[Name] = []
    """Started in this order when everything is ready; Recording is when all record."""
    stop_order: list[Name] = []
    """Stopped in this order; that of starting where left out."""
    idle: Name = "Idle"
    recording: Name = "Recording"
    start: Duration = 10.0
    """Deadline of one recorder's start."""
    stop: Duration = 10.0
    abort: Duration = 10.0
    recovery: RecoverySection = RecoverySection()
    hooks: dict[Name, HookSection] = {}

    @property
    def systems(self) -> tuple[str, ...]:
        """Every global system it names."""
        return tuple(name for level in self.levels for name in level.members if name != DETECTORS)

    def template(self, name: str) -> Template:
        """The same for the planner."""
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
        )

    def problems(self) -> Iterable[Problem]:
        """What cannot be, across its keys."""
        yield from self._levels()
        yield from self._recorders()
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
        for system in self.recorders:
            if system not in self.systems:
                yield ("recorders",), f"{system} is a member of no level{did_you_mean(system, self.systems)}"
        if len(set(self.recorders)) != len(self.recorders):
            yield ("recorders",), "a recorder is named twice"
        if self.stop_order and sorted(self.stop_order) != sorted(self.recorders):
            yield ("stop_order",), f"must name every recorder once: {', '.join(self.recorders) or 'there is none'}"
