"""Placement of detectors in partitions, followed once for all agents of a process.

An agent reads it again with `refresh` before it refuses an order because of the placement.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import decode
from countingroom.core.systems import Placement

_log = logging.getLogger(__name__)


class Directory:
    """Follows the published placement. `present` is None while none has been published."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._follower = BucketFollower(bus, clock, subjects.MAPPING_KEY, self._take)
        self._followers: list[Callable[[], None]] = []
        self.present: Placement | None = None

    @contextmanager
    def followed(self, changed: Callable[[], None]) -> Generator[None]:
        """Call `changed` after each change of the placement, while entered."""
        self._followers.append(changed)
        try:
            yield
        finally:
            self._followers.remove(changed)

    async def refresh(self) -> None:
        """Read the placement now. While the bus is not reached, the last known one stays valid."""
        try:
            entry = await self._bus.get(subjects.STATE_BUCKET, subjects.MAPPING_KEY)
        except CountingRoomError:
            return
        try:
            self._learn(entry.data if entry else None)
        except msgspec.DecodeError as error:
            _log.warning("the placement of detectors is not understood: %s", error)

    async def run(self) -> None:
        """Run until cancelled."""
        await self._follower.run()

    def _take(self, entry: Entry) -> None:
        self._learn(entry.data)

    def _learn(self, data: bytes | None) -> None:
        present = decode(data, Placement) if data is not None else None
        if present != self.present:
            self.present = present
            for follower in tuple(self._followers):
                follower()
