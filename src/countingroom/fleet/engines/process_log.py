"""The output of an instance of the process engine, as its runner keeps it: `log`, `log.1`, and their times."""

from __future__ import annotations

import asyncio
import os
import struct
from bisect import bisect_right
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from countingroom.core.clock import Clock
from countingroom.fleet.engines.port import LogLine

_FOLLOW_S = 0.5
_TAIL_BYTES = 1 << 20
MARK = struct.Struct("<QQ")
"""Place in the log, and when what follows was written, ns since the epoch."""


async def read_process_log(
    clock: Clock, folder: Path, *, tail: int, since_ns: int, follow: bool, are_times_late: bool = False
) -> AsyncGenerator[LogLine]:
    """The last lines, then with `follow` the next ones as they are written. `are_times_late`: times are noted after
    lines are written, so that those that are followed get the time at which they are seen."""
    lines, place = await asyncio.to_thread(_last, folder, whole_lines=follow)
    if any(one.time_ns for one in lines):  # where no time is known, no line is too old
        lines = [one for one in lines if one.time_ns >= since_ns]
    for line in lines[-tail:] if tail else ():
        yield line
    # A file has no push that all file systems have: it is looked at twice a second.
    while follow:
        lines, next_place = await asyncio.to_thread(_next, folder, place)
        for line in lines:
            yield LogLine(clock.now_ns(), line.text) if are_times_late else line
        if next_place == place:
            await clock.sleep(_FOLLOW_S)
        place = next_place


class _Place(NamedTuple):
    """How far a log has been read. It becomes `log.1` when it is full: the inode tells which of the two is meant."""

    inode: int
    offset: int


def _last(folder: Path, *, whole_lines: bool) -> tuple[list[LogLine], _Place]:
    """The lines at the end of the log, and the place after them."""
    found: list[LogLine] = []
    place = _Place(0, 0)
    for name, times in (("log.1", "times.1"), ("log", "times")):
        inode, start, data = _end_of(folder / name)
        if whole_lines and name == "log":
            data = data[: data.rfind(b"\n") + 1]
        found += _lines(data, start, _marks(folder / times))
        # Between the end of one log and the first line of the next there is `log.1` alone.
        place = _Place(inode, start + len(data)) if inode else place
    return found, place


def _next(folder: Path, place: _Place) -> tuple[list[LogLine], _Place]:
    """The whole lines behind a place of the log, and the place after them."""
    with suppress(FileNotFoundError), (folder / "log").open("rb") as file:
        found = os.fstat(file.fileno())
        # Another file: the log was renamed. The same one and shorter: it was copied and emptied.
        if place.inode and (found.st_ino != place.inode or found.st_size < place.offset):
            is_renamed = found.st_ino != place.inode
            return _rest(folder, place, is_renamed=is_renamed), _Place(found.st_ino, 0)
        file.seek(place.offset)
        data = file.read(1 << 16)
        data = data[: data.rfind(b"\n") + 1] or (data if len(data) == 1 << 16 else b"")
        marks = _marks(folder / "times") if data else []
        return _lines(data, place.offset, marks), _Place(found.st_ino, place.offset + len(data))
    return [], place


def _rest(folder: Path, place: _Place, *, is_renamed: bool) -> list[LogLine]:
    """The lines of the log that was ended. Where two were ended since the last look, the older one is gone."""
    with suppress(OSError), (folder / "log.1").open("rb") as file:
        offset = 0 if is_renamed and os.fstat(file.fileno()).st_ino != place.inode else place.offset
        file.seek(offset)
        return _lines(file.read(), offset, _marks(folder / "times.1"))
    return []


def _lines(data: bytes, start: int, marks: list[tuple[int, int]]) -> list[LogLine]:
    places = [place for place, _ in marks]
    found: list[LogLine] = []
    for raw in data.split(b"\n"):
        if raw:
            index = bisect_right(places, start) - 1
            found.append(LogLine(marks[index][1] if index >= 0 else 0, raw.decode(errors="replace")))
        start += len(raw) + 1
    return found


def _end_of(file: Path) -> tuple[int, int, bytes]:
    """(inode, place, bytes) of the last part of a file; inode 0: there is none."""
    with suppress(OSError), file.open("rb") as opened:
        place = max(opened.seek(0, os.SEEK_END) - _TAIL_BYTES, 0)
        opened.seek(place)
        data = opened.read()
        # Of a part that begins within a line, the next one is the first.
        head = data.find(b"\n") + 1 if place else 0
        return os.fstat(opened.fileno()).st_ino, place + head, data[head:]
    return 0, 0, b""


def _marks(file: Path) -> list[tuple[int, int]]:
    with suppress(OSError):
        data = file.read_bytes()
        return [*MARK.iter_unpack(data[: len(data) // MARK.size * MARK.size])]
    return []
