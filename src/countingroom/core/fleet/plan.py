"""The plan of a change of the fleet, as it is shown before anything is done. Pure."""

from __future__ import annotations

from msgspec import Struct


class PlannedChange(Struct, frozen=True, kw_only=True, gc=False):
    """What would be done to one instance."""

    kind: str
    """`replace` (another image), `again` (made again with the same image), `right` (what was changed by hand is put
    right), `create`, `remove`."""
    service: str
    node: str
    index: int = 0
    what: tuple[str, ...] = ()
    """What changes: `image 2.4.0 → 2.4.1`."""
    why: str = "it is in the revision no more"
    pulls: str = ""
    """The image that is pulled before; empty: none."""


class PlannedNote(Struct, frozen=True, kw_only=True, gc=False):
    """What would not be done."""

    kind: str
    """`waits` (done later by itself), `left` (not done) or `fails` (the change would fail by it)."""
    service: str
    node: str = ""
    text: str


class PlannedGate(Struct, frozen=True, kw_only=True, gc=False):
    """What keeps the change of one service from doing harm."""

    service: str
    instances: int
    max_parallel: int
    min_healthy: int
    """Never fewer healthy ones because of the change."""
    canary: bool
    healthy_for_s: float
    start_period_s: float
    failures: int
    """So many failed checks in a row end the change; 0: it has no check."""
    rollback: bool


class FleetPlan(Struct, frozen=True, kw_only=True):
    """All that would be done, in the order of the groups in which it happens."""

    revision: int
    """0: it is not saved yet."""
    present: int
    changes: tuple[PlannedChange, ...] = ()
    notes: tuple[PlannedNote, ...] = ()
    gates: tuple[PlannedGate, ...] = ()
    """Of the services with changes, by name."""
    stays: int = 0
    """Instances that are as wanted."""
