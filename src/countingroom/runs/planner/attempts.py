"""What an owner keeps beside the reports: attempts, deadlines, passed hook points.

It is lost with the owner. The cost is a repeated attempt and a new deadline.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import Action


class Pending(Struct, frozen=True, kw_only=True):
    """An order that was sent and is not over."""

    action: Action
    deadline_ns: int
    id: str = ""
    """Empty: not ours, a system that was found configuring; it has its time like any other."""
    key: str = ""
    """Fingerprint of the configuration that it names; empty: none."""


class Failure(Struct, frozen=True, kw_only=True):
    """The last order was refused, or was not over in time."""

    action: Action
    cause: Cause
    late: bool = False


class HookRun(Struct, frozen=True, kw_only=True):
    """A hook that was begun for this goal."""

    deadline_ns: int
    over: bool = False
    cause: Cause | None = None
    """Why it failed."""


class Attempts(Struct, frozen=True, kw_only=True):
    """What the owner remembers."""

    pending: Mapping[str, Pending] = {}
    """System -> the order it works on, in time."""
    tried: Mapping[tuple[str, Action], int] = {}
    """How often an order was sent for this goal."""
    failed: Mapping[str, Failure] = {}
    """System -> how its last order failed, until it is Active or told again."""
    hooks: Mapping[str, HookRun] = {}
    hook_points: frozenset[str] = frozenset()
    """Passed on the way to this goal."""
    met: bool = False
    """The goal was met and is kept (recovery by resuming)."""
    orders: int = 0
    """Sent since this owner began."""
    known: int = 0
    """The run that this owner was asked for or saw recording; 0: none."""
    ending: RunEnd | None = None
    """Why the open run is being ended, as soon as that is clear."""
