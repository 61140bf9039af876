"""The interface of a partition's owner for its parts: the present partition, and the ways to act on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from countingroom.bus.command_server import CommandServer
from countingroom.bus.election import Leadership
from countingroom.core.partitions import Goal
from countingroom.core.run_book import Run, RunEnd
from countingroom.runs.access.control_lease import ControlLease
from countingroom.runs.context import RunControlContext
from countingroom.runs.planner.events import Fact
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.run_book_writer import PartitionBook


class OwnerPort(Protocol):
    """The owner of a partition, as its parts use it."""

    @property
    def context(self) -> RunControlContext: ...
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def lease(self) -> Leadership: ...
    @property
    def book(self) -> PartitionBook: ...
    @property
    def control(self) -> ControlLease: ...
    @property
    def command_server(self) -> CommandServer: ...
    @property
    def partition(self) -> PartitionModel: ...

    def upcoming(self) -> PartitionModel:
        """The partition with all that the main loop has not taken from its queue yet."""
        ...

    def now_ns(self) -> int:
        """The present time, ns since the epoch."""
        ...

    def tell(self, fact: Fact) -> None:
        """Put an event into the queue of the main loop."""
        ...

    def goal(self, goal: Goal | None, action: str, *, run: Run | None = None, end: RunEnd = RunEnd.STOPPED) -> None:
        """Set a goal, or none; `run` is the reserved run for it, `end` the reason if it ends a run."""
        ...

    async def reload_members(self, *, tell: bool = True) -> None:
        """Reload members, exclusions and selected configurations from the database."""
        ...

    async def settle(self) -> Mapping[str, int]:
        """Publish the state after all events so far; returns the revisions to wait for."""
        ...

    async def changed(self) -> None:
        """Wait for the next change of the partition."""
        ...
