"""Events and actions of one interlock: the input and output of `chart.step`. Times are ns since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.interlocks.states import Truth
from countingroom.core.policy import Role
from countingroom.core.values import Scalar


class InputReading(Struct, frozen=True):
    """The evaluation of one input."""

    truth: Truth
    value: Scalar = None
    """The value of its first point; None: not known."""


Inputs = Mapping[tuple[str, int], InputReading]
"""(name of the cause, number of the input from 0) -> its evaluation. An input that is not in it is missing."""


class InterlockTime(Struct, frozen=True, kw_only=True):
    """Only the inputs and the time changed."""


class ResetInterlock(Struct, frozen=True, kw_only=True):
    """A person ends the trip. Refused while a cause is present and not bypassed."""

    by: str
    role: Role
    """Of the person, on the target of interlocks."""
    reason: str = ""


class BypassCause(Struct, frozen=True, kw_only=True):
    """A person bypasses a cause until a time. Of a bypassed cause it replaces the bypass."""

    cause: str
    by: str
    role: Role
    reason: str
    until_ns: int


class EndBypass(Struct, frozen=True, kw_only=True):
    """A person ends a bypass before its time."""

    cause: str
    by: str
    role: Role


class ReportEffect(Struct, frozen=True, kw_only=True):
    """The result of an attempt to carry out an effect. It has no effect if the effect does not act any more."""

    effect: str
    trip: int
    """The trip for which it was tried."""
    trouble: str = ""
    """Why it is not reached; empty if it is reached."""


class AdoptTrip(Struct, frozen=True, kw_only=True):
    """Another process that evaluates the same interlock, a device host or the engine, has tripped one of its causes.

    It has no effect if the cause is tripped or bypassed here, if the trip is not later than the last reset, or if the
    interlock does not latch.
    """

    cause: str
    tripped_ns: int
    place: str = ""
    """Where it was evaluated: `device host main`."""


class RecordProofTest(Struct, frozen=True, kw_only=True):
    """A proof test was done."""

    by: str
    role: Role
    passed: bool
    comment: str = ""
    cause: str = ""
    """The cause that was provoked; empty: every cause."""


InterlockEvent = InterlockTime | ResetInterlock | BypassCause | EndBypass | ReportEffect | AdoptTrip | RecordProofTest


class ActionKind(StrEnum):
    """The kinds of actions that follow from an event, in the order in which they are recorded and carried out."""

    TRIP = "trip"
    """The interlock trips; `name` is the cause that was first."""
    CAUSE = "cause"
    """A further cause of an interlock that is tripped; `name` is the cause."""
    ACT = "act"
    """Carry out an effect; `name` is the effect."""
    RELEASE = "release"
    """An effect does not act any more; `name` is the effect. What it commanded is not undone."""
    RESET = "reset"
    """The trip has ended: by a person, or by itself where it does not latch."""
    BYPASS = "bypass"
    """A cause is bypassed."""
    END_BYPASS = "end_bypass"
    """A bypass has ended: by a person, or at its time."""
    WOULD_TRIP = "would_trip"
    """A bypassed cause would have tripped."""
    REACHED = "reached"
    """An effect is reached: readback or run control shows it."""
    NOT_REACHED = "not_reached"
    """An attempt failed; it is told once for each trouble."""
    PROOF_TEST = "proof_test"
    """The result of a proof test is recorded."""
    REFUSED = "refused"
    """A command is refused with the cause; the state is unchanged."""


class InterlockAction(Struct, frozen=True, kw_only=True):
    """One thing to record, and with ACT to do."""

    kind: ActionKind
    name: str = ""
    """The cause or effect that it is about."""
    trip: int = 0
    """Number of the trip."""
    by: str = ""
    text: str = ""
    """One sentence for the record."""
    refusal: Cause | None = None
    """Why it is refused."""
