"""Law: a system says itself what state it is in; everybody else believes only that.

A detector stands in exactly one partition or in none and has one state. A global system serves every partition and
has one state, configuration and sequence for each: what happens to one partition never touches another.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.values import Scalar

UNCONFIGURED = "Unconfigured"
CONFIGURING = "Configuring"
ACTIVE = "Active"
RECORDING = "Recording"
ERROR = "Error"
NO_CONNECTION = "Connection Problem"
"""Not a state of a system: what others see of one that is not heard."""

COMMON_STATES = (UNCONFIGURED, CONFIGURING, ACTIVE, RECORDING, ERROR)


class SystemKind(StrEnum):
    """Whom a system serves."""

    DETECTOR = "detector"
    GLOBAL = "global"


class Action(StrEnum):
    """What an agent can be ordered to do."""

    CONFIGURE = "configure"
    START = "start"
    STOP = "stop"
    ABORT = "abort"
    RESET = "reset"


class SystemState(Struct, frozen=True, kw_only=True):
    """What an agent says of its system, for one partition where it is global. Written by the agent alone."""

    system: str
    partition: str = ""
    """The partition this state is for; empty for a detector in none."""
    kind: SystemKind = SystemKind.DETECTOR
    state: str
    """Its own (private) state: `Configuring_Step2`."""
    common: str
    """One of COMMON_STATES."""
    tag: str = ""
    """The configuration tag it has, for people."""
    key: str = ""
    """Fingerprint of the configuration it has and of everything below it that it depends on; empty: none."""
    run: int = 0
    """The run it records; 0: none."""
    order: str = ""
    """The last order it took: a report that names it was made after it."""
    sequence: int
    """1, 2, 3 … within one boot: an older one is dropped."""
    boot: str
    since_ns: int
    comment: str = ""
    """For people: `step 2 of 3`, `transition aborted`."""
    cause: Cause | None = None
    """Why it is in Error."""
    counters: dict[str, Scalar] = {}
    """What it counted in the present or last run: `events`, `bytes`."""
    version: str = ""
    """Of the software it runs, for the run book."""


class Order(Struct, frozen=True, kw_only=True):
    """What a partition tells an agent to do. Subject: `agent.<system>`."""

    id: str
    action: Action
    partition: str
    fence: int
    """The partition's lease token: an agent refuses one lower than the highest it has seen for that partition."""
    deadline_ns: int
    """The transition must be over by then; the agent gives up and goes to Error after it."""
    tag: str = ""
    key: str = ""
    parameters: dict[str, Scalar] = {}
    run: int = 0


class Answer(Struct, frozen=True, kw_only=True):
    """The agent's answer, at once: accepted means begun (or nothing to do), its state says how it goes on."""

    id: str
    accepted: bool
    cause: Cause | None = None
    state: SystemState | None = None


class Placement(Struct, frozen=True, kw_only=True):
    """Who is where: every partition there is, and the partition each detector stands in."""

    partitions: tuple[str, ...] = ()
    detectors: dict[str, str] = {}
    """Detector -> partition; empty: in none."""
