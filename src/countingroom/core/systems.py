"""Systems (detectors and global systems), their reported states, and the orders to their agents.

Only the agent of a system publishes its state. A detector belongs to exactly one partition or to none and has one
state. A global system serves all partitions and has a separate state, configuration and sequence for each of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from countingroom.core.errors import Cause
from countingroom.core.values import Int64, Scalar

UNCONFIGURED = "Unconfigured"
CONFIGURING = "Configuring"
ACTIVE = "Active"
RECORDING = "Recording"
ERROR = "Error"
NO_CONNECTION = "Connection Problem"
"""Shown for a system without heartbeats; no agent reports it."""

COMMON_STATES = (UNCONFIGURED, CONFIGURING, ACTIVE, RECORDING, ERROR)


class SystemKind(StrEnum):
    """Whether a system serves one partition or all."""

    DETECTOR = "detector"
    GLOBAL = "global"


class Action(StrEnum):
    """The action of an order."""

    CONFIGURE = "configure"
    RECONFIGURE = "reconfigure"
    """Change the parameters in place: the system stays Active or Recording."""
    START = "start"
    STOP = "stop"
    ABORT = "abort"
    RESET = "reset"


class SystemState(Struct, frozen=True, kw_only=True):
    """The reported state of a system; of a global system, for one partition. Only its agent writes it."""

    system: str
    partition: str = ""
    """The partition this state is for; empty for a detector in none."""
    kind: SystemKind = SystemKind.DETECTOR
    state: str
    """Its own (private) state: `Configuring_Step2`."""
    common: str
    """One of COMMON_STATES."""
    tag: str = ""
    """Tag of its present configuration, for display."""
    key: str = ""
    """Fingerprint of its present configuration and of those below that it depends on; empty: none."""
    base: str = ""
    """Fingerprint of those below alone, as its last order to configure named it. While it is the same, the system can
    be reconfigured in place. Empty: it cannot."""
    run: int = 0
    """The run it records; 0: none."""
    last_run: int = 0
    """The highest run that it has recorded, as far as its agent knows; 0: none."""
    order: str = ""
    """Id of the last accepted order. It shows that this report was made after the order."""
    sequence: int
    """1, 2, 3 … for each boot. A report with a lower number than the last one is dropped."""
    boot: str
    since_ns: int
    comment: str = ""
    """For display: `step 2 of 3`, `transition aborted`."""
    cause: Cause | None = None
    """Reason for the state Error."""
    counters: dict[str, Scalar] = {}
    """Counters of the present or last run: `events`, `bytes`."""
    version: str = ""
    """Version of its software, for the run book."""


class Order(Struct, frozen=True, kw_only=True):
    """An order of a partition's owner to an agent, or, without an owner, of the console. Subject: `agent.<system>`."""

    id: str
    action: Action
    partition: str
    fence: Int64
    """Fencing token of the partition's lease. An agent refuses a token lower than the highest it has seen for the
    partition, so that an owner that has lost the lease cannot command it."""
    deadline_ns: Int64
    """Deadline of the transition by the clock of the sender, for agents of earlier versions."""
    within_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    """Time for the transition from the receipt of the order, in s. An agent that misses it stops the transition and
    goes to Error. A duration, because the clocks of two computers differ. 0: see `deadline_ns`."""
    tag: str = ""
    key: str = ""
    base: str = ""
    """Of `configure` and `reconfigure`: the fingerprint of what is below the system, reported in `SystemState.base`."""
    parameters: dict[str, Scalar] = {}
    run: Int64 = 0
    requested_by: str = ""
    """The user whose console sends a stop or an abort itself, because the partition has no owner that answers. Such an
    order needs no fencing token."""


class Answer(Struct, frozen=True, kw_only=True):
    """The agent's immediate answer to an order. Accepted: the transition has begun, or none is needed; its further
    progress is reported in `SystemState`."""

    id: str
    accepted: bool
    cause: Cause | None = None
    state: SystemState | None = None


class Placement(Struct, frozen=True, kw_only=True):
    """All partitions, and the partition of each detector."""

    partitions: tuple[str, ...] = ()
    detectors: dict[str, str] = {}
    """Detector -> its partition; empty: none."""
