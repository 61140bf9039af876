"""Following keys of the state bucket while a process runs: present values, then changes, also after a lost link."""

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
        current: Callable[[], None] = lambda: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """`current` is called after each complete snapshot, `lost` when what was received may be out of date; a new
        snapshot follows."""
        self._bus = bus
        self._pattern = pattern
        self._take = take
        self._current = current
        self._lost = lost
        self._ready = asyncio.Event()
        name = f"{pattern} of the bucket {subjects.STATE_BUCKET}"
        report = edge_log(_log, f"{name} is not followed", f"{name} is followed again")
        self._retry = Retry(clock, report, pause_s=RETRY_S, on=CountingRoomError)
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
            async with self._bus.watch(subjects.STATE_BUCKET, self._pattern) as items:
                async for item in items:
                    match item:
                        case Entry():
                            self._receive(item)
                        case Stale():
                            self._set_stale()
                        case Current():
                            # A key that was deleted while the link was down is in no change, and stays with `take`. It
                            # must: a restarted server holds no keys until their writers have published them again, and
                            # a device that is only not yet published must not count as lost.
                            self._retry.report.worked()
                            self.stale = False
                            self._ready.set()
                            self._current()
        finally:
            self._set_stale()
        raise LinkError("the watch ended", source="bus", code="link_lost")

    def _set_stale(self) -> None:
        self.stale = True
        self._lost()

    def _receive(self, entry: Entry) -> None:
        try:
            self._take(entry)
        except Exception as error:  # a message must not end the task that follows the bucket
            self._bus.dead_letters.add(f"$KV.{subjects.STATE_BUCKET}.{entry.key}", entry.data or b"", error)
