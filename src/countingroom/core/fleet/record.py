"""What the keeper remembers of the fleet beside the revisions: how far each change is, and what is set aside by hand.

It is small because everything else is seen on the nodes. It is kept in the database, so that a keeper that takes over
goes on with a change, and never begins a change that was given up. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.fleet.specs import InstanceId


class Phase(StrEnum):
    """Of the change of one service."""

    ROLLING = "rolling"
    """Instances are changed to `target`."""
    ROLLING_BACK = "rolling_back"
    """A changed instance failed; instances are changed back to `fallback`."""
    DONE = "done"
    """All reachable instances are as `target` has them. They are kept so, and the others are made so as they
    come back."""
    ROLLED_BACK = "rolled_back"
    """All are as `fallback` has them again. They are kept so until a revision is applied."""
    FAILED = "failed"
    """It was given up, and no rollback was wanted or possible. Nothing more is changed; what ends is started again."""
    HELD = "held"
    """A user halted the change."""


class Renewal(Struct, frozen=True, gc=False):
    """An instance that a user wants made again."""

    id: InstanceId
    change: str
    """`Change.token` of the present one: what has another was made again."""


class Change(Struct, frozen=True, kw_only=True, gc=False):
    """The change of one service from one revision to another."""

    target: int
    fallback: int = 0
    """The revision to go back to: that of the last change that was done. 0: there is none."""
    phase: Phase = Phase.ROLLING
    since_ns: int = 0
    """Since when it is in this phase."""
    cause: Cause | None = None
    """Why it was given up or is rolled back."""
    renewals: tuple[Renewal, ...] = ()
    """The instances of a restart. The keeper that takes over makes again what is not made again yet."""
    renewed_why: str = ""
    """`restart by anna`."""

    @property
    def effective(self) -> int:
        """The revision that instances are made from now."""
        return self.fallback if self.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK) else self.target

    @property
    def token(self) -> str:
        """Kept with each instance that this change makes, to tell it from one that was there before. It needs no clock
        of a node."""
        return f"r{self.effective}-{self.since_ns}"


class SetAside(Struct, frozen=True, kw_only=True):
    """A node (or a service) that a user has taken out of use."""

    reason: str
    by: str
    since_ns: int
    until_ns: int | None = None
    """Then it is used again by itself. None: until a user says so."""
    drain: bool = False
    """Of a node: its instances are ended too. Without it they stay as they are."""


class PowerCut(Struct, frozen=True, kw_only=True):
    """A restart of a node by its power that has not switched it on again yet."""

    by: str
    """The user who asked for it."""
    since_ns: int
    """When it was about to be switched off."""


class FleetRecord(Struct, frozen=True, kw_only=True):
    """What is remembered."""

    revision: int = 0
    """The revision that was applied last; 0: none yet, and nothing is touched."""
    changes: Mapping[str, Change] = {}
    """Service -> its change. A service that is in no revision any more keeps its entry until its instances are gone."""
    cordons: Mapping[str, SetAside] = {}
    """Node -> why no instance is made or changed there."""
    disabled: Mapping[str, SetAside] = {}
    """Service -> why it is ended everywhere."""
    power_cuts: Mapping[str, PowerCut] = {}
    """Node -> the restart that has it without power: the keeper that takes over switches it on."""
