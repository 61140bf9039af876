"""What the keeper is told to do, and what it waits for. Pure."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from countingroom.core.fleet.record import FleetRecord
from countingroom.core.fleet.resolver import ResolvedSpec
from countingroom.core.fleet.specs import InstanceId


class FleetActionKind(StrEnum):
    """What is done."""

    PULL = "pull"
    MAKE = "make"
    REPLACE = "replace"
    START = "start"
    """Start an instance again that ended."""
    REMOVE = "remove"


class FleetAction(Struct, frozen=True, kw_only=True):
    """One thing to do on one node."""

    kind: FleetActionKind
    node: str
    why: str
    instance: InstanceId | None = None
    image: str = ""
    resolved: ResolvedSpec | None = None
    revision: int = 0
    change: str = ""
    """`Change.token`, kept with the instance that is made."""
    grace_s: float = 10.0


class Delay(Struct, frozen=True):
    """Why nothing is done to (a part of) a service at present."""

    service: str
    why: str
    node: str = ""


class FleetStep(Struct, frozen=True, kw_only=True):
    """The outcome of one look at the fleet."""

    record: FleetRecord
    actions: tuple[FleetAction, ...] = ()
    waiting: tuple[Delay, ...] = ()
    due_ns: int | None = None
    """Something is to be done then although nothing is seen to change. None: never."""
