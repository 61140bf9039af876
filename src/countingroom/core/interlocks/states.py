"""The state of an interlock, as it is saved in the database and published at the key `interlock.<name>`.

It has everything that `chart.step` needs, so a process that takes over continues where the last one stopped. Times are
ns since the epoch.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.interlocks.specs import CauseTest, MatrixCell
from countingroom.core.values import Scalar


class Truth(StrEnum):
    """The evaluation of one input."""

    TRUE = "true"
    FALSE = "false"
    STALE = "stale"
    """Its value is old: no update came for the declared time, or the link is down."""
    BAD = "bad"
    """There is no usable value, or the condition cannot be computed from the values."""
    MISSING = "missing"
    """There has been no reading since the start."""

    @property
    def counts(self) -> bool:
        """Whether it counts as true: everything but false does."""
        return self is not Truth.FALSE

    @property
    def is_known(self) -> bool:
        """Whether the condition could be evaluated."""
        return self in (Truth.TRUE, Truth.FALSE)


class Bypass(Struct, frozen=True, kw_only=True):
    """A person has bypassed a cause for a time: it does not trip."""

    by: str
    reason: str
    since_ns: int
    until_ns: int


class InputState(Struct, frozen=True, kw_only=True):
    """One input of a cause."""

    text: str = ""
    """The condition in words."""
    points: tuple[str, ...] = ()
    """Addresses of the points and states that it depends on."""
    truth: Truth = Truth.MISSING
    value: Scalar = None
    """The value of its first point when its truth changed last; None: not known."""
    since_ns: int = 0
    """When its truth changed last."""


class CauseState(Struct, frozen=True, kw_only=True):
    """One cause: the row of the matrix."""

    name: str
    title: str = ""
    inputs: tuple[InputState, ...] = ()
    vote: int = 1
    true_since_ns: int | None = None
    """Since when enough inputs are true; None: they are not."""
    present_since_ns: int | None = None
    """Since when enough inputs are true or cannot be evaluated; None: the cause is gone."""
    due_ns: int | None = None
    """When its delay ends, while it is present and has not ended yet."""
    over: bool = False
    """It has been present for its delay, and still is."""
    tripped_ns: int | None = None
    """When it tripped; with a latch it stays until the reset."""
    bypass: Bypass | None = None
    would_trip: bool = False
    """It is bypassed, and would have tripped without that."""
    test: CauseTest | None = None
    """How it is provoked by simulation; None: that is not declared."""

    @property
    def is_present(self) -> bool:
        """Whether the vote holds, with inputs that cannot be evaluated as true."""
        return self.present_since_ns is not None

    @property
    def is_unknown(self) -> bool:
        """Whether the vote holds only because inputs cannot be evaluated."""
        return self.present_since_ns is not None and self.true_since_ns is None


class EffectState(Struct, frozen=True, kw_only=True):
    """One effect: the column of the matrix."""

    name: str
    title: str = ""
    kind: str = ""
    """`commands`, `stop` or `forbid`."""
    does: str = ""
    """What it does, in words: `caen.0 off`."""
    partition: str = ""
    """The partition whose run it stops or whose start it forbids; empty: none."""
    due_ns: int | None = None
    """When it begins, while it waits for its delay."""
    acting_ns: int | None = None
    """When it began; None: it does not act."""
    cause: str = ""
    """The cause that made it act, or will."""
    reached_ns: int | None = None
    """When the devices or the run control had done what it asks for; None: not yet."""
    trouble: str = ""
    """Why it is not reached, after an attempt."""
    attempts: int = 0
    """How often it was tried since it began to act."""


class ProofTest(Struct, frozen=True, kw_only=True):
    """The last proof test."""

    time_ns: int
    by: str
    passed: bool
    comment: str = ""
    """What was found."""
    cause: str = ""
    """The cause that was provoked; empty: every cause."""


class InterlockState(Struct, frozen=True, kw_only=True):
    """The state of one interlock."""

    name: str
    title: str = ""
    causes: tuple[CauseState, ...] = ()
    effects: tuple[EffectState, ...] = ()
    matrix: tuple[MatrixCell, ...] = ()
    latch: bool = True
    reset_role: str = ""
    """The role that may reset it: `shifter`."""
    bypass_role: str = ""
    """The role that may bypass its causes and record proof tests."""
    longest_bypass_ns: int = 0
    trip: int = 0
    """Number of the present or last trip, 1, 2, 3 …"""
    tripped_ns: int | None = None
    """Since when it is tripped; None: it is not."""
    first_out: str = ""
    """The cause that tripped first, of the present or last trip."""
    reset_ns: int | None = None
    """When it was reset, or released by itself, last."""
    reset_by: str = ""
    """The user that reset it; empty: it released by itself."""
    reset_reason: str = ""
    """What this user said of the last reset."""
    proof: ProofTest | None = None
    proof_due_ns: int | None = None
    """When the next proof test is due; None: no period is declared."""
    unread: bool = False
    """The engine that published it could not read what the database keeps of it: whether it is tripped is not known."""
    seen_ns: int | None = None
    """When an engine knew it first. The first proof test is due one period later."""
    changed_ns: int = 0

    @property
    def is_tripped(self) -> bool:
        """Whether it is tripped."""
        return self.tripped_ns is not None

    @property
    def told_reset(self) -> str:
        """How the last trip ended, as one sentence."""
        if not self.reset_by:
            return "its causes are gone"
        return f"reset by {self.reset_by}{f': {self.reset_reason}' if self.reset_reason else ''}"

    @property
    def bypassed(self) -> tuple[str, ...]:
        """Names of the causes that are bypassed."""
        return tuple(one.name for one in self.causes if one.bypass)

    def cause(self, name: str) -> CauseState | None:
        """The cause of this name; None: there is none."""
        return next((one for one in self.causes if one.name == name), None)

    def effect(self, name: str) -> EffectState | None:
        """The effect of this name; None: there is none."""
        return next((one for one in self.effects if one.name == name), None)
