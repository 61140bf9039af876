"""Following keys of a bucket for as long as a process runs: present values, then changes, also after a lost link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from countingroom.bus.port import Bus, Current, Entry, Stale
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

RETRY_S = 0.25
"""Between two attempts to watch."""


class BucketFollower:
    """Follows the keys that match a pattern. `take` receives each present key and each change; `data` is None where a
    key was deleted.

    An entry that `take` cannot decode or use is a dead letter, so one bad key does not hide the others.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        pattern: str,
        take: Callable[[Entry], None],
        *,
        bucket: str = subjects.STATE_BUCKET,
        current: Callable[[], None] = lambda: None,
        retry_s: float = RETRY_S,
    ) -> None:
        """`current` is called after each complete snapshot."""
        self._bus = bus
        self._pattern = pattern
        self._take = take
        self._bucket = bucket
        self._current = current
        self._ready = asyncio.Event()
        name = f"{pattern} of the bucket {bucket}"
        report = edge_log(_log, f"{name} is not followed", f"{name} is followed again")
        self._retry = Retry(clock, report, pause_s=retry_s, on=CountingRoomError)
        self.stale = True
        """Whether what was received may be out of date: no snapshot is complete yet, or the link is down."""

    async def ready(self) -> None:
        """Return once the first snapshot is complete."""
        await self._ready.wait()

    async def run(self) -> None:
        """Until cancelled."""
        await self._retry.forever(self._watch)

    async def _watch(self) -> None:
        try:
            async with self._bus.watch(self._bucket, self._pattern) as items:
                async for item in items:
                    match item:
                        case Entry():
                            self._receive(item)
                        case Stale():
                            self.stale = True
                        case Current():
                            # A key that was deleted while the link was down is in no change, and stays with `take`. It
                            # must: a restarted server holds no keys until their writers have published them again, and
                            # a device that is only not yet published must not count as lost.
                            self._retry.report.worked()
                            self.stale = False
                            self._ready.set()
                            self._current()
        finally:
            self.stale = True
        raise LinkError("the watch ended", source="bus", code="link_lost")

    def _receive(self, entry: Entry) -> None:
        try:
            self._take(entry)
        except Exception as error:  # a message must not end the task that follows the bucket
            self._bus.dead_letters.add(f"$KV.{self._bucket}.{entry.key}", entry.data or b"", error)
