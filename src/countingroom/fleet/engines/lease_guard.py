"""A process that stood still, so that another one keeps the fleet now, must not go on with what it was doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from countingroom.core.errors import LinkError

MayAct = Callable[[], bool]
"""Whether this process keeps the fleet at this moment."""


@runtime_checkable
class GuardedEngine(Protocol):
    """An engine whose actions have several steps: before each change of its node it asks whether it may."""

    may_act: MayAct


def check_lease(may_act: MayAct, source: str) -> None:
    """LinkError where it may not."""
    if not may_act():
        raise LinkError(
            "this process does not keep the fleet any more: nothing is done",
            source=source,
            code="lease_lost",
            suggestion="look at the processes of the role fleet: one of them keeps the fleet",
        )
