"""Following keys of a bucket for as long as a process runs: present values, then changes, also after a lost link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

import msgspec

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

    An entry that `take` cannot decode is logged and skipped, so one bad key does not hide the others.
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
        report_missing: bool = False,
    ) -> None:
        """`current` is called after each complete snapshot. `report_missing`: keys that a later snapshot does not hold
        any more are reported as deleted."""
        self._bus = bus
        self._pattern = pattern
        self._take = take
        self._bucket = bucket
        self._current = current
        self._report_missing = report_missing
        self._known = set[str]()
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
        snapshot = set[str]()
        try:
            async with self._bus.watch(self._bucket, self._pattern) as items:
                async for item in items:
                    match item:
                        case Entry():
                            snapshot.add(item.key)
                            self._receive(item)
                        case Stale():
                            self.stale = True
                            snapshot.clear()
                        case Current():
                            # A snapshot holds only what is there: no change reports a key that was deleted while the
                            # link was down. Views for people drop such a key. Control keeps it, because a server that
                            # was restarted holds no keys until their writers have published them again, and a device
                            # or another thing that is only not yet published must not count as lost.
                            if self._report_missing:
                                self._forget(self._known - snapshot)
                            self._retry.report.worked()
                            self.stale = False
                            self._ready.set()
                            self._current()
        finally:
            self.stale = True
        raise LinkError("the watch ended", source="bus", code="link_lost")

    def _forget(self, keys: Iterable[str]) -> None:
        for key in sorted(keys):
            self._receive(Entry(key=key, data=None, revision=0))

    def _receive(self, entry: Entry) -> None:
        if entry.data is None:
            self._known.discard(entry.key)
        else:
            self._known.add(entry.key)
        try:
            self._take(entry)
        except msgspec.DecodeError as error:
            _log.warning("%s of the bucket %s is not understood: %s", entry.key, self._bucket, error)
