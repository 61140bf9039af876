"""What the parts of a partition's owner use of it: the partition as it is now, and the few ways to act on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Lease
from countingroom.core.partitions import Goal
from countingroom.core.run_book import Run, RunEnd
from countingroom.runs.access.control_lease import ControlDesk
from countingroom.runs.context import RunControlContext
from countingroom.runs.partition.run_book_writer import RunBookWriter
from countingroom.runs.planner.events import Fact
from countingroom.runs.planner.partition import PartitionModel


class OwnerPort(Protocol):
    """One ownership of one partition."""

    @property
    def context(self) -> RunControlContext: ...
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def lease(self) -> Lease: ...
    @property
    def book(self) -> RunBookWriter: ...
    @property
    def control(self) -> ControlDesk: ...
    @property
    def command_server(self) -> CommandServer: ...
    @property
    def partition(self) -> PartitionModel: ...

    def now_ns(self) -> int:
        """The time."""
        ...

    def tell(self, fact: Fact) -> None:
        """Something happened."""
        ...

    def goal(self, goal: Goal | None, action: str, *, run: Run | None = None, end: RunEnd = RunEnd.STOPPED) -> None:
        """Want it there."""
        ...

    async def reload_members(self, *, tell: bool = True) -> None:
        """Read anew who is a member, who is included, and what is wanted."""
        ...

    async def settle(self) -> Mapping[str, int]:
        """Publish the partition as it is after every event so far; the positions it has."""
        ...

    async def changed(self) -> None:
        """Return at the next change."""
        ...
