"""Watches the free space of the disk and the streams on it, tells when something is wrong, and repairs the streams.

Below 15 % of free space it warns, below 5 % it is an alarm: the experiment then is not ready, because what it records
will soon be lost. A stream that met a full disk is repaired as soon as there is room again.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from countingroom.bus.nats.stream_repair import BrokenStream
from countingroom.bus.server.server_event import server_event
from countingroom.core import severity
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import Event

_log = logging.getLogger(__name__)

LOOK_S = 1.0
LOW = 0.15
VERY_LOW = 0.05
_BACK = 0.01
"""Space above a limit at which the warning ends, so that it does not come and go."""
_ROOM_BYTES = 64 << 20
"""Free space from which streams are repaired, or a tenth of a small disk."""


class DiskLevel(IntEnum):
    """How full the disk is."""

    ENOUGH = 0
    LOW = 1
    VERY_LOW = 2


class FreeSpace(Struct, frozen=True, kw_only=True):
    """Free and total bytes of a disk."""

    free: int
    total: int

    @property
    def part(self) -> float:
        """The free part, 0 to 1."""
        return self.free / self.total if self.total else 1.0

    @property
    def has_room(self) -> bool:
        """Whether there is enough to store again."""
        return self.free >= min(_ROOM_BYTES, self.total // 10)

    def __str__(self) -> str:
        return f"{100 * self.part:.1f} % free space left"


def level(space: FreeSpace, before: DiskLevel) -> DiskLevel:
    """The level now. One that was left must be exceeded a little, or it would change with each small file."""
    for limit, one in ((VERY_LOW, DiskLevel.VERY_LOW), (LOW, DiskLevel.LOW)):
        if space.part < limit + (_BACK if before >= one else 0.0):
            return one
    return DiskLevel.ENOUGH


class RepairedStreams(Protocol):
    """The streams, as the watch needs them."""

    async def broken(self) -> Sequence[BrokenStream]: ...
    async def repair(self, name: str, *, free_bytes: int) -> None: ...


def free_space(directory: Path) -> FreeSpace:
    """That of the disk with this directory."""
    usage = shutil.disk_usage(directory)
    return FreeSpace(free=usage.free, total=usage.free + usage.used)


class DiskWatch:
    """Looks once a second."""

    def __init__(
        self,
        directory: Path,
        streams: RepairedStreams,
        clock: Clock,
        *,
        on_event: Callable[[Event], None],
        space: Callable[[Path], FreeSpace] = free_space,
    ) -> None:
        self._directory = directory
        self._streams = streams
        self._clock = clock
        self._on_event = on_event
        self._space = space
        self._level = DiskLevel.ENOUGH
        self._last = FreeSpace(free=1, total=1)
        self._broken: dict[str, int] = {}
        """Stream that does not store -> since when, ns since the epoch."""
        self._repairing = ""
        """Why the last attempt to repair failed."""

    def troubles(self) -> list[str]:
        """Why what happens is not recorded, or soon not, one sentence each; empty: all is recorded."""
        found: list[str] = []
        if self._level is DiskLevel.VERY_LOW:
            found.append(f"the disk with {self._directory} has {self._last}")
        if self._broken:
            found.append(f"not stored on disk: {', '.join(sorted(self._broken))}")
        return found

    def warnings(self) -> list[str]:
        """What does not yet harm: little free space."""
        if self._level is not DiskLevel.LOW:
            return []
        return [f"the disk with {self._directory} has {self._last}"]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once."""
        try:
            space = await asyncio.to_thread(self._space, self._directory)
            self._note_space(space)
            broken = await self._streams.broken()
        except OSError as error:
            _log.warning("the free space of %s is not known: %s", self._directory, error)
            return
        except CountingRoomError:
            return  # the server restarts, which is told elsewhere
        self._note_broken(broken)
        if self._broken and space.has_room:
            for name in sorted(self._broken):
                await self._repair(name, space)

    def _note_space(self, space: FreeSpace) -> None:
        before = self._level
        self._last = space
        self._level = level(space, before)
        if self._level == before:
            return
        text = f"the disk with {self._directory} has {space}"
        if self._level is DiskLevel.ENOUGH:
            self._tell(text, level=severity.NORMAL)
        elif self._level is DiskLevel.LOW:
            self._tell(text, level=severity.MEDIUM, suggestion="delete what is not needed")
        else:
            suggestion = "make room now: with a full disk control goes on, and what it records is lost after a while"
            self._tell(text, level=severity.HIGH, suggestion=suggestion)

    def _note_broken(self, broken: Sequence[BrokenStream]) -> None:
        for one in broken:
            if one.name not in self._broken:
                self._broken[one.name] = self._clock.now_ns()
                suggestion = "make room on the disk; the rest goes by itself"
                self._tell(
                    f"{one.name} is not stored on disk any more: {one.error}",
                    level=severity.HIGH,
                    suggestion=suggestion,
                )
        for name in self._broken.keys() - {one.name for one in broken}:
            self._tell_repaired(name)

    async def _repair(self, name: str, space: FreeSpace) -> None:
        try:
            await self._streams.repair(name, free_bytes=space.free)
        except (CountingRoomError, TimeoutError) as error:
            if self._repairing != str(error):
                self._repairing = str(error)
                _log.warning("the stream %s is not repaired yet: %s", name, error)
        else:
            self._repairing = ""
            self._tell_repaired(name)

    def _tell_repaired(self, name: str) -> None:
        seconds = (self._clock.now_ns() - self._broken.pop(name)) / 1e9
        self._tell(f"{name} is stored on disk again, after {seconds:.0f} s", level=severity.NORMAL)

    def _tell(self, message: str, *, level: int, suggestion: str = "") -> None:
        cause = Cause(code="disk", message=message, source="bus", suggestion=suggestion) if suggestion else None
        self._on_event(server_event(self._clock, "disk", message, level=level, cause=cause))
