"""Law: what a partition is and wants is a value that anyone can read; only its owner writes it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause
from countingroom.core.systems import Action, SystemKind
from countingroom.core.values import Scalar


class Goal(Struct, frozen=True, kw_only=True):
    """Where a partition is asked to be."""

    state: str
    """A state of its template that can be rested in: `Idle`, `QA_Active`, `Recording`."""
    requested_by: str = ""
    since_ns: int = 0
    command_id: str = ""
    at_once: bool = False
    """Abort: everything goes down together, and recording is not stopped in order before."""
    stop: bool = False
    """Stop, or end at a limit: nothing is configured for it; it is met when nothing is above it."""
    lower: bool = False
    """It was below the state in which it was asked for: what is above it goes down. Set by the owner."""


class Configuration(Struct, frozen=True, kw_only=True):
    """What one system is to be configured with."""

    tag: str
    """Its configuration's name, for people."""
    key: str
    """Fingerprint of tag and parameters and of the systems below that it depends on."""
    parameters: dict[str, Scalar] = {}


class Member(Struct, frozen=True, kw_only=True):
    """A system as a member of a partition."""

    system: str
    kind: SystemKind
    level: str
    included: bool = True
    critical: bool = True
    """Its loss takes the partition down a level; one that is not is expendable."""
    wanted: Configuration | None = None
    """None: no configuration is selected."""


class StepStatus(StrEnum):
    """How far a step is."""

    PLANNED = "planned"
    GOING = "going"
    DONE = "done"
    FAILED = "failed"


class Step(Struct, frozen=True, kw_only=True):
    """One thing to do to one system, and why."""

    system: str
    action: Action
    reason: str
    level: str = ""
    expected_s: float | None = None
    """From earlier times it was done; None: never done before."""
    deadline_s: float
    status: StepStatus = StepStatus.PLANNED


class Stage(Struct, frozen=True, kw_only=True):
    """Steps that go on at the same time; the next stage begins when they are over."""

    title: str
    steps: tuple[Step, ...]
    expected_s: float | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """The way from what is to what is wanted, as it would go if nothing failed."""

    partition: str
    goal: str
    tag: str = ""
    stages: tuple[Stage, ...] = ()
    kept: dict[str, str] = {}
    """System -> why it stays as it is."""
    expected_s: float | None = None
    obstacle: Cause | None = None
    """Why the goal cannot be reached from here."""


class MemberState(Struct, frozen=True, kw_only=True):
    """A member as its partition sees it."""

    system: str
    kind: SystemKind
    level: str
    included: bool
    critical: bool
    joining: bool = False
    """Included while recording: not being ready is no loss until it was ready once."""
    seen: str
    """Common state as the partition acts on it, or `Connection Problem`."""
    own: str
    """The private state the system last reported."""
    tag: str = ""
    wanted_tag: str = ""
    right: bool = False
    """It is Active or Recording with the configuration that is wanted."""
    reported_ns: int = 0
    comment: str = ""
    cause: Cause | None = None


class PartitionState(Struct, frozen=True, kw_only=True):
    """Everything about a partition that is shown. Key `partition.<name>` in `state`; written by its owner alone."""

    partition: str
    template: str
    state: str
    since_ns: int
    goal: Goal | None = None
    tag: str = ""
    """The global tag selected; `custom` where systems were chosen one by one; empty: none."""
    members: tuple[MemberState, ...] = ()
    steps: tuple[Step, ...] = ()
    """What is being done now."""
    run: int = 0
    """The run it records; 0: none."""
    locked: bool = False
    refusals: dict[str, Cause | None] = {}
    """Every command of a partition: None where it may be given now, else why not."""
    cause: Cause | None = None
    """Why it does not get on."""
    chart: Chart
    owner: str = ""
    boot: str = ""
