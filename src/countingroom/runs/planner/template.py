"""A template: ordered levels of systems. The state machine of the partition is generated from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from countingroom.core.charts.chart import Chart, Row

DETECTORS = "detectors"
"""Stands in a level for all detectors of the partition."""

ALL = "all"
"""As a recorder: every member of the partition."""

EVENTS = ("configure", "success", "failure", "abort", "start_recording", "stop_recording")
"""Of every partition; each level adds that of its loss."""


class Level(Struct, frozen=True, kw_only=True):
    """Members that are configured in parallel, after every level before it is ready."""

    name: str
    """Names its states: `Configuring_<name>`, `<name>_Active`."""
    members: tuple[str, ...]
    """Global systems by name; `detectors` stands for all detectors of the partition."""
    loss: str
    """The chart's event when it is no longer ready: `error_TFC`."""
    expendable: tuple[str, ...] = ()
    """Members whose absence does not make it unready."""
    minimum: int = 0
    """So many members must be right, beside every critical one."""
    configure_s: float = 30.0
    """Deadline of one member's configuring."""

    @property
    def configuring(self) -> str:
        """Its state while members are being configured."""
        return f"Configuring_{self.name}"

    @property
    def active(self) -> str:
        """Its state when it is ready."""
        return f"{self.name}_Active"


class RecoveryPolicy(Struct, frozen=True, kw_only=True):
    """What to do by itself about a member that failed, before a person is asked."""

    attempts: int = 1
    """How often a member is configured in all: 2 means once again after a failure."""
    exclude_expendable: bool = False
    """An expendable member that used up its attempts is excluded."""
    fall_back: bool = False
    """Where a level cannot be made ready, its members are aborted: the partition rests on the level below."""
    resume: bool = False
    """After a loss, climb to the goal again by itself, as far as the top: recording is asked for by a person."""


class Hook(Struct, frozen=True, kw_only=True):
    """A program on the way: begun at one moment, waited for at the same or another one."""

    name: str
    command: tuple[str, ...]
    trigger: str
    """One of the template's moments."""
    awaited: str
    """The moment at which it must be over."""
    deadline_s: float = 30.0
    critical: bool = True
    """Its failure ends the way to the goal, but never a stop."""


class Condition(Struct, frozen=True, kw_only=True):
    """A value that a run depends on. It is kept at the beginning and the end of a run."""

    point: str
    """`<device>.<name>`."""
    low: float | None = None
    """In the unit of the point. Below it, a run is degraded; None: no limit."""
    high: float | None = None


class Template(Struct, frozen=True, kw_only=True, dict=True):
    """How a kind of partition is brought up and taken down."""

    name: str
    levels: tuple[Level, ...]
    recorders: tuple[str, ...] = ()
    """Started in this order; recording only when all record that are not expendable. As described: systems, or groups
    of them; in the template of a partition (recorders.py): systems only."""
    stop_order: tuple[str, ...] = ()
    """Stopped in this order; the order of starting where empty."""
    groups: Mapping[str, tuple[str, ...]] = {}
    """Group of the description that is a recorder -> its systems."""
    silent: frozenset[str] = frozenset()
    """Systems that take no data, so that no group of recorders has them."""
    start_stages: tuple[tuple[str, ...], ...] = ()
    """The recorders in the order of starting; those of a stage start in parallel. Empty: one after the other."""
    stop_stages: tuple[tuple[str, ...], ...] = ()
    waived: frozenset[str] = frozenset()
    """Expendable recorders that a group has named: the run goes on without them."""
    described: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """`recorders` and `stop_order` as they are described, where they name groups."""
    idle: str = "Idle"
    recording: str = "Recording"
    start_s: float = 10.0
    stop_s: float = 10.0
    abort_s: float = 10.0
    recovery: RecoveryPolicy = RecoveryPolicy()
    hooks: tuple[Hook, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def records(self) -> bool:
        """Whether its partitions take runs, also one that has no recorder now."""
        return bool(self.described or self.recorders)

    @property
    def starting(self) -> tuple[tuple[str, ...], ...]:
        """The stages of starting."""
        return self.start_stages or tuple((name,) for name in self.recorders)

    @property
    def stopping(self) -> tuple[tuple[str, ...], ...]:
        """The stages of stopping."""
        return self.stop_stages or tuple((name,) for name in self.stop_order) or self.starting

    @property
    def hook_points(self) -> tuple[str, ...]:
        """When hooks can be begun or waited for, in the order of a run."""
        levels = (f"{when} configure {level.name}" for level in self.levels for when in ("before", "after"))
        return (*levels, "before start", "after start", "before stop", "after stop")

    @property
    def top(self) -> str:
        """The state in which everything is ready."""
        return self.levels[-1].active

    @cached_property  # asked for several times in every step of a partition
    def rests(self) -> tuple[str, ...]:
        """The states that can be a goal, lowest first."""
        recording = (self.recording,) if self.records else ()
        return (self.idle, *(level.active for level in self.levels), *recording)

    def height(self, state: str) -> int:
        """How many levels are ready in a state of rest; one more than all of them for recording."""
        return self.rests.index(state)

    def reached(self, state: str) -> float:
        """How many levels are ready in any state of the chart; half a level where one is being configured."""
        for index, level in enumerate(self.levels):
            if state == level.configuring:
                return index + 0.5
        return self.rests.index(state) if state in self.rests else 0

    def below(self, index: int) -> str:
        """The state of rest under a level."""
        return self.rests[index]

    def chart(self) -> Chart:
        """The state machine of a partition: what is visible of its way."""
        return self._chart

    @cached_property
    def _chart(self) -> Chart:
        return Chart(name=self.name, rows=tuple(self._rows()), initial=self.idle, safe=(self.idle,))

    def _rows(self) -> Iterator[Row]:
        for index, level in enumerate(self.levels):
            yield Row(self.below(index), "configure", level.configuring)
            yield Row(level.configuring, "success", level.active)
            yield Row(level.configuring, "failure", self.below(index))
            yield Row(level.configuring, "abort", self.idle)
            yield from self._losses(level.configuring, index)
            yield Row(level.active, "abort", self.idle)
            yield from self._losses(level.active, index + 1)
        if self.records:
            yield Row(self.top, "start_recording", self.recording)
            yield Row(self.recording, "stop_recording", self.top)
            yield Row(self.recording, "abort", self.idle)
            yield from self._losses(self.recording, len(self.levels))

    def _losses(self, state: str, ready: int) -> Iterator[Row]:
        for index, level in enumerate(self.levels[:ready]):
            yield Row(state, level.loss, self.below(index))
