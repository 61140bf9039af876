"""Law: a run is recorded before it begins and closed whatever happens; its number is never used again."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.partitions import Configuration
from countingroom.core.values import Scalar


class RunEnd(StrEnum):
    """Why a run ended."""

    STOPPED = "stopped"
    """Somebody, or a sequence, stopped it."""
    LIMIT = "limit"
    """Its time or its condition was reached."""
    LOST = "lost"
    """A system was lost or left recording."""
    ABORTED = "aborted"
    NEVER_STARTED = "never started"
    """A recorder did not begin."""
    OWNER_DIED = "owner died"
    """Its controlling process died and the recording was over when the next owner looked."""


class RunLimit(Struct, frozen=True, kw_only=True):
    """When to stop by itself, whichever comes first."""

    seconds: float | None = None
    point: str = ""
    """`<device>.<name>`; empty: no condition."""
    above: float | None = None
    below: float | None = None


class RunNote(Struct, frozen=True, kw_only=True):
    """Something said about or that happened in a run: a comment, a flag, an exclusion, an error."""

    time_ns: int
    kind: str
    """`comment`, `flag`, `include`, `exclude`, `error`."""
    text: str
    author: str = ""
    system: str = ""


class Run(Struct, frozen=True, kw_only=True):
    """One run as the run book has it."""

    number: int
    partition: str
    template: str
    requested_by: str
    asked_ns: int
    """When the number was given out, before anything was started."""
    started_ns: int | None = None
    """When all recorders recorded."""
    ended_ns: int | None = None
    end: RunEnd | None = None
    ended_by: str = ""
    cause: Cause | None = None
    tag: str = ""
    configurations: dict[str, Configuration] = {}
    """System -> what it had, as a snapshot."""
    members: tuple[str, ...] = ()
    """Systems included at the start."""
    versions: dict[str, str] = {}
    limit: RunLimit | None = None
    quality: str = ""
    """`good`, `bad`, `test` …; empty: not judged."""
    notes: tuple[RunNote, ...] = ()
    counters: dict[str, Scalar] = {}
    """Of all systems at the end: `QA.events`."""
    sequence: str = ""
    """The sequence of runs it is part of; empty: none."""


class RunFilter(Struct, frozen=True, kw_only=True):
    """Which runs are asked for, newest first. Everything given must hold."""

    partition: str = ""
    from_ns: int | None = None
    """Asked for at this time or later."""
    to_ns: int | None = None
    """Asked for before this time."""
    text: str = ""
    """Occurs in the tag, who requested it, a member, a note or the sequence; case does not matter."""
    quality: str | None = None
    """None: any; empty: not judged."""
    open: bool | None = None
    sequence: str = ""
    before: int | None = None
    """Numbers lower than this: the next page begins at the last number of this one."""
    limit: int = 100


class RunSequence(Struct, frozen=True, kw_only=True):
    """Runs one after the other, unattended: one parameter of one system takes each of the values in turn."""

    name: str
    partition: str
    requested_by: str
    created_ns: int
    system: str
    parameter: str
    values: tuple[Scalar, ...]
    limit: RunLimit
    """Of each run."""
    tag: str = ""
    """What the scan starts from."""
    runs: tuple[int, ...] = ()
    """Number of the run of each value taken so far; the next value is `values[len(runs)]`."""
    end: str = ""
    """`finished`, `stopped`, `failed`; empty: it goes on."""
    ended_ns: int | None = None
    cause: Cause | None = None
