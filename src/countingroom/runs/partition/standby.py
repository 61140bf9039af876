"""Ownership of a partition by lease: a process owns it or stands by, and takes over when the owner dies.

An owner that loses the lease stops at once. If it gets the lease again and no other process has owned the partition
meanwhile, it goes on. A new owner starts from the database and the reported states, so it makes no difference at which
step the former owner died.
"""

from __future__ import annotations

import logging

from countingroom.bus.ask import stored_state
from countingroom.bus.election import Leadership
from countingroom.core import subjects
from countingroom.core.clock import raise_if_cancelled
from countingroom.core.errors import CountingRoomError
from countingroom.core.partitions import PartitionState
from countingroom.runs.context import RunControlContext
from countingroom.runs.partition.owner import PartitionOwner

_log = logging.getLogger(__name__)

AFTER_FAILURE_S = 0.5
"""Pause after a lost or failed ownership, so that a standby in another process gets the lease first."""


class PartitionStandby:
    """One partition in this process, which owns it or stands by."""

    def __init__(self, context: RunControlContext, name: str) -> None:
        self.name = name
        self._context = context
        self.owner: PartitionOwner | None = None

    async def run(self) -> None:
        """Run until cancelled. No order is sent to the systems at the end."""
        election = self._context.election(
            subjects.partition_key(self.name), source=f"runs.{self.name}", is_unchanged=self._is_unchanged
        )
        while True:
            try:
                await election.lead(self._own)
            except* CountingRoomError as group:
                _log.error(
                    "runs.%s: ownership ended: %s", self.name, "; ".join(str(error) for error in group.exceptions)
                )
            except* Exception:  # a programming error in one partition must not end the other partitions
                _log.exception("runs.%s: ownership ended", self.name)
            raise_if_cancelled()
            await self._context.clock.sleep(AFTER_FAILURE_S)

    async def _own(self, leadership: Leadership) -> None:
        self.owner = PartitionOwner(self._context, self.name, leadership)
        try:
            await self.owner.run()
        finally:
            self.owner = None

    async def _is_unchanged(self) -> bool:
        """Whether the last owner that published a state is this one: each does it before it acts."""
        key = subjects.partition_key(self.name)
        state = await stored_state(self._context.bus, key, PartitionState)
        return state is not None and state.boot == self._context.boot
