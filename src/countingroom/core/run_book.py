"""The run book: runs, their notes, limits, filters and run sequences as values.

A run is recorded before it starts, every run is closed, and a run number is never used again.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.partitions import Configuration
from countingroom.core.values import Quality, Scalar


class RunEnd(StrEnum):
    """The reason for the end of a run."""

    STOPPED = "stopped"
    """Stopped by a user or a sequence."""
    LIMIT = "limit"
    """Its time limit or its condition was reached."""
    LOST = "lost"
    """A system was lost or left the state Recording."""
    ABORTED = "aborted"
    NEVER_STARTED = "never started"
    """A recording system did not start."""
    OWNER_DIED = "owner died"
    """The process that owned the partition died, and the recording was over when the next owner took over."""


class RunLimit(Struct, frozen=True, kw_only=True):
    """Conditions that end a run automatically; the first one that is met ends it."""

    seconds: float | None = None
    point: str = ""
    """`<device>.<name>`; empty: no condition."""
    above: float | None = None
    below: float | None = None


class RunFlagKind(StrEnum):
    """What run control found of a run by itself."""

    DEGRADED = "degraded"
    """For a time a member was excluded, lost or in Error, a condition was outside its limits, or no owner looked after
    the run; the run went on."""
    INTERRUPTED = "interrupted"
    """It did not end by a stop or its limit: it was aborted, a system was lost, or its owner died."""
    INCOMPLETE = "incomplete"
    """The stop of a recorder failed, or its counters are missing."""


class RunFlag(Struct, frozen=True, kw_only=True):
    """A flag that run control has given to a run: which one, for what, and when."""

    flag: RunFlagKind
    what: str
    """A sentence for operators: `STS is in Error: the trigger link is lost`."""
    since_ns: int
    until_ns: int | None = None
    """None: until the end of the run, or it is so still."""
    subject: str = ""
    """The system or the point; `owner` or `run`."""


class RunCondition(Struct, frozen=True, kw_only=True):
    """The value of a point at the beginning or the end of a run."""

    value: Scalar
    quality: Quality
    device_ns: int
    """Time stamp of the value."""


class RunNote(Struct, frozen=True, kw_only=True):
    """A note on a run: a comment, a flag, an inclusion or exclusion, an error, a change of parameters in place,
    a later new name of its partition or a system."""

    time_ns: int
    kind: str
    """`comment`, `flag`, `include`, `exclude`, `error`, `reconfigure`, `rename`."""
    text: str
    author: str = ""
    system: str = ""


class Run(Struct, frozen=True, kw_only=True):
    """One run in the run book."""

    number: int
    partition: str
    template: str
    requested_by: str
    asked_ns: int
    """When the run number was reserved, before any system was started."""
    started_ns: int | None = None
    """When all recording systems were in Recording."""
    ended_ns: int | None = None
    duration_s: float | None = None
    """Time from `started_ns` to `ended_ns` by the monotonic clock, in s: a step of the wall clock is not in it.
    None: the run did not begin, is open, or is of an earlier version."""
    end: RunEnd | None = None
    ended_by: str = ""
    cause: Cause | None = None
    tag: str = ""
    configurations: dict[str, Configuration] = {}
    """System -> snapshot of its configuration at the beginning; notes hold the changes in place."""
    members: tuple[str, ...] = ()
    """Systems included at the start."""
    versions: dict[str, str] = {}
    limit: RunLimit | None = None
    quality: str = ""
    """`good`, `bad`, `test` …; empty: not judged."""
    notes: tuple[RunNote, ...] = ()
    counters: dict[str, Scalar] = {}
    """Counters of all systems at the end: `QA.events`."""
    sequence: str = ""
    """The run sequence it belongs to; empty: none."""
    flags: tuple[RunFlag, ...] = ()
    """Given by run control itself; none for runs of earlier versions."""
    conditions_begin: dict[str, RunCondition] = {}
    """Point -> its value when the run began, for the conditions of the template and the condition of its limit."""
    conditions_end: dict[str, RunCondition] = {}

    @property
    def flagged(self) -> tuple[str, ...]:
        """The kinds of its flags, each once: `degraded`, `incomplete`."""
        present = {one.flag for one in self.flags}
        return tuple(kind.value for kind in RunFlagKind if kind in present)

    def lasted_s(self, now_ns: int | None = None) -> float | None:
        """Time in s from the moment all recorders record to the end, or to `now_ns`; None: it has not begun, or it is
        open and no time is given."""
        until_ns = self.ended_ns or now_ns
        if self.duration_s is not None or self.started_ns is None or until_ns is None:
            return self.duration_s
        return max(0, until_ns - self.started_ns) / 1e9


class RunFilter(Struct, frozen=True, kw_only=True):
    """Selects runs, newest first. All given conditions must be met."""

    partition: str = ""
    from_ns: int | None = None
    """Requested at this time or later."""
    to_ns: int | None = None
    """Requested before this time."""
    text: str = ""
    """Text in the tag, the requesting user, a member, a note or the sequence; case does not matter."""
    quality: str | None = None
    """None: any; empty: not judged."""
    open: bool | None = None
    flag: str | None = None
    """`degraded`, `interrupted`, `incomplete` or `any`; None: all runs; empty: those without a flag."""
    sequence: str = ""
    before: int | None = None
    """Only numbers lower than this. For the next page, give the last number of this page."""
    limit: int = 100


class RunSequence(Struct, frozen=True, kw_only=True):
    """A sequence of runs without an operator: one parameter of one system takes each of the values in turn."""

    name: str
    partition: str
    requested_by: str
    created_ns: int
    system: str
    parameter: str
    values: tuple[Scalar, ...]
    limit: RunLimit
    """Limit of each run."""
    tag: str = ""
    """The global tag that the scan starts from."""
    runs: tuple[int, ...] = ()
    """Run number for each value so far; the next value is `values[len(runs)]`."""
    end: str = ""
    """`finished`, `stopped`, `failed`; empty: it is running."""
    ended_ns: int | None = None
    cause: Cause | None = None
