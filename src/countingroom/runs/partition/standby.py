"""Ownership of a partition by lease: a process owns it or stands by, and takes over when the owner dies.

An owner that loses the lease stops at once. A new owner starts from the database and the reported states, so it makes
no difference at which step the former owner died.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from countingroom.core import subjects
from countingroom.core.errors import CountingRoomError
from countingroom.runs.context import RunControlContext
from countingroom.runs.election import acquire
from countingroom.runs.partition.owner import PartitionOwner

_log = logging.getLogger(__name__)

LEASE_S = 1.0
"""TTL of the lease: a standby takes over this long after the owner died."""

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
        while True:
            lease = await acquire(self._context, subjects.partition_key(self.name), ttl_s=LEASE_S)
            self.owner = PartitionOwner(self._context, self.name, lease)
            try:
                async with asyncio.TaskGroup() as group:
                    serving = group.create_task(self.owner.run())
                    await lease.wait_lost()
                    serving.cancel()
                _log.warning("runs.%s: ownership ended: the lease is lost", self.name)
            except* CountingRoomError as group:
                reasons = "; ".join(str(error) for error in group.exceptions)
                _log.error("runs.%s: ownership ended: %s", self.name, reasons)
            except* Exception:  # a programming error in one partition must not end the other partitions
                _log.exception("runs.%s: ownership ended", self.name)
            finally:
                self.owner = None
                with suppress(CountingRoomError):
                    await lease.release()
            await self._context.clock.sleep(AFTER_FAILURE_S)
