"""Law: a partition has one owner, by lease. Who loses the lease stops acting at once; who stands by goes on.

A new owner builds everything from what is reported and written, so it does not matter where the old one was ended.
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
"""An owner that is gone is followed by one that stands by after this."""

AFTER_FAILURE_S = 0.5
"""Between two ownerships: whoever stands by comes first."""


class PartitionStandby:
    """One partition in this process: owned or stood by for."""

    def __init__(self, context: RunControlContext, name: str) -> None:
        self.name = name
        self._context = context
        self.owner: PartitionOwner | None = None

    async def run(self) -> None:
        """Until cancelled; systems are left as they are."""
        while True:
            lease = await acquire(self._context, subjects.partition_key(self.name), ttl_s=LEASE_S)
            self.owner = PartitionOwner(self._context, self.name, lease)
            try:
                async with asyncio.TaskGroup() as group:
                    serving = group.create_task(self.owner.run())
                    await lease.wait_lost()
                    serving.cancel()
                _log.warning("runs.%s: let go: the lease is lost", self.name)
            except* CountingRoomError as group:
                _log.error("runs.%s: let go: %s", self.name, "; ".join(str(error) for error in group.exceptions))
            except* Exception:  # must not take the other partitions down
                _log.exception("runs.%s: let go", self.name)
            finally:
                self.owner = None
                with suppress(CountingRoomError):
                    await lease.release()
            await self._context.clock.sleep(AFTER_FAILURE_S)
