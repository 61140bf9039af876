"""State, goal and plan of a partition as values. Only the owner of the partition writes `PartitionState`."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause
from countingroom.core.systems import Action, SystemKind
from countingroom.core.values import Scalar


class Goal(Struct, frozen=True, kw_only=True):
    """The requested state of a partition."""

    state: str
    """A stable state of its template: `Idle`, `QA_Active`, `Recording`."""
    requested_by: str = ""
    since_ns: int = 0
    command_id: str = ""
    at_once: bool = False
    """Abort: all systems go down at the same time, without an orderly stop of the recording."""
    stop: bool = False
    """Stop, or end at a limit: no system is configured; the goal is reached when no system is above it."""
    lower: bool = False
    """The goal was below the present state when it was requested: systems above it go down. The owner sets it."""
    reconfigure: bool = False
    """Only change parameters in place, in the present state: no system is configured, started or stopped."""
    in_place: bool = False
    """What differs can be changed in place, which is done before anything else. The owner sets it."""
    joined: tuple[str, ...] = ()
    """Ids of later commands for the same goal; they end with it."""

    def is_same(self, other: Goal) -> bool:
        """Whether the other goal asks for the same."""
        mine = (self.state, self.at_once, self.stop, self.reconfigure)
        return mine == (other.state, other.at_once, other.stop, other.reconfigure)


class Configuration(Struct, frozen=True, kw_only=True):
    """The configuration that one system gets."""

    tag: str
    """Name of the configuration, for display."""
    key: str
    """Fingerprint of the tag, the parameters and the configurations of the systems below that it depends on."""
    parameters: dict[str, Scalar] = {}


class Member(Struct, frozen=True, kw_only=True):
    """A system as a member of a partition."""

    system: str
    kind: SystemKind
    level: str
    included: bool = True
    critical: bool = True
    """The loss of a critical system takes the partition down a level; the loss of another one does not."""
    wanted: Configuration | None = None
    """None: no configuration is selected."""
    base: str = ""
    """Fingerprint of the configurations below that it depends on, for a system whose agent can reconfigure it in place;
    empty: it cannot."""


class StepStatus(StrEnum):
    """Progress of a step."""

    PLANNED = "planned"
    GOING = "going"
    DONE = "done"
    FAILED = "failed"


class Step(Struct, frozen=True, kw_only=True):
    """One action on one system, with its reason."""

    system: str
    action: Action
    reason: str
    level: str = ""
    expected_s: float | None = None
    """From the durations of earlier transitions; None: there was none."""
    deadline_s: float
    status: StepStatus = StepStatus.PLANNED


class Stage(Struct, frozen=True, kw_only=True):
    """Steps that run at the same time. The next stage begins when all are over."""

    title: str
    steps: tuple[Step, ...]
    expected_s: float | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """The stages from the present state to the goal, for the case that no step fails."""

    partition: str
    goal: str
    tag: str = ""
    stages: tuple[Stage, ...] = ()
    kept: dict[str, str] = {}
    """System -> why it needs no action."""
    expected_s: float | None = None
    obstacle: Cause | None = None
    """Why the goal cannot be reached from the present state."""


class MemberState(Struct, frozen=True, kw_only=True):
    """A member as the owner of the partition sees it."""

    system: str
    kind: SystemKind
    level: str
    included: bool
    critical: bool
    joining: bool = False
    """Included while recording: until it has been ready once, not being ready does not count as a loss."""
    seen: str
    """The common state that the partition acts on, or `Connection Problem`."""
    own: str
    """The private state the system last reported."""
    tag: str = ""
    wanted_tag: str = ""
    right: bool = False
    """It is Active or Recording with the wanted configuration."""
    in_place: bool = False
    """Its agent can change its parameters without leaving Active or Recording."""
    reported_ns: int = 0
    comment: str = ""
    cause: Cause | None = None


class PartitionState(Struct, frozen=True, kw_only=True):
    """The complete shown state of a partition. Key `partition.<name>` in the bucket `state`."""

    partition: str
    template: str
    state: str
    since_ns: int
    goal: Goal | None = None
    tag: str = ""
    """The selected global tag; `custom` when configurations were selected for single systems; empty: none."""
    members: tuple[MemberState, ...] = ()
    steps: tuple[Step, ...] = ()
    """The steps that run now."""
    run: int = 0
    """The run it records; 0: none."""
    locked: bool = False
    refusals: dict[str, Cause | None] = {}
    """Command -> None when it is allowed now, otherwise the reason for the refusal."""
    cause: Cause | None = None
    """Why the partition makes no progress."""
    chart: Chart
    owner: str = ""
    boot: str = ""
