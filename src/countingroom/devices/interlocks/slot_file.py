"""A small file of two lines, of which each save overwrites the older one in place.

The blocks of the file are there before, so a save needs no room on the disk, and the system call that writes takes some
20 us. To replace a file by a new one took 2 ms at the median, and 40 ms while the disk was busy: blocks are allocated,
and the folder is changed, which waits for the journal.

A process that is killed in the middle of a save leaves the line of the save before it. Both lines are JSON objects with
a number and a checksum.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from countingroom.core.messages import Malformed, decode_json

_PAGE = 4096
_LEAST = 4 * _PAGE
"""Bytes of a line, at the least."""
_ROOM = 4
"""A line has room for so many times the content that the file is made for."""


class _Line(Struct, frozen=True, kw_only=True):
    number: int
    """The higher one is the newer."""
    crc: int
    content: msgspec.Raw


class SlotFile:
    """The content is one JSON value. All methods may wait for the disk, and raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = -1
        self._slot_bytes = 0
        self._number = 0

    def read(self) -> bytes | None:
        """What was written last; None where there is no file. Malformed where neither line is whole."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return None
        whole = [one for line in lines if (one := _whole(line)) is not None]
        if not whole:
            raise Malformed("neither of its lines is whole")
        newest = max(whole, key=lambda one: one.number)
        self._number = newest.number
        return bytes(newest.content)

    def write(self, content: bytes) -> None:
        """Returns when the content outlives the end of this process; `sync` makes it outlive a loss of power."""
        if not self._is_in_place():
            self._open()
        number = self._number + 1
        line = msgspec.json.encode(_Line(number=number, crc=_crc(number, content), content=msgspec.Raw(content)))
        if len(line) < self._slot_bytes:
            _write(self._opened, _filled(line, self._slot_bytes), number % 2 * self._slot_bytes)
        else:
            self._make(line)
        self._number = number  # after a failure the same line is written again, and the other one stays

    def sync(self) -> None:
        """Write what the system has not written to the disk yet."""
        for path, sync in ((self.path, os.fdatasync), (self.path.parent, os.fsync)):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                sync(descriptor)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Close the file; it is opened again where it is needed."""
        if self._opened >= 0:
            os.close(self._opened)
        self._opened = -1
        self._slot_bytes = 0

    def _is_in_place(self) -> bool:
        """Whether the opened file is still the one at the path, with its two lines: a person may have changed that."""
        with suppress(OSError):
            found = self.path.stat()
            return found.st_size == 2 * self._slot_bytes and os.path.samestat(found, os.fstat(self._opened))
        return False

    def _open(self) -> None:
        """Go on with the file at the path, where it is one of two lines: that needs no room on the disk either."""
        self.close()
        with suppress(FileNotFoundError, Malformed):
            if self.read() is None:
                return
            self._opened = os.open(self.path, os.O_RDWR)
            slot_bytes, rest = divmod(os.fstat(self._opened).st_size, 2)
            if not rest and slot_bytes % _PAGE == 0:
                self._slot_bytes = slot_bytes

    def _make(self, line: bytes) -> None:
        """Put a new file at the path, with this line in both places."""
        self.close()
        size = max(_LEAST, -(-_ROOM * len(line) // _PAGE) * _PAGE)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self.path.with_suffix(".new")
        opened = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for slot in range(2):
                _write(opened, _filled(line, size), slot * size)
            new.replace(self.path)
        except OSError:
            os.close(opened)
            raise
        self._opened = opened
        self._slot_bytes = size


def _filled(line: bytes, size: int) -> bytes:
    return line.ljust(size - 1) + b"\n"


def _write(opened: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(opened, data, offset)
        data = data[written:]
        offset += written


def _whole(line: bytes) -> _Line | None:
    try:
        found = decode_json(line, _Line)
    except Malformed:
        return None
    return found if _crc(found.number, bytes(found.content)) == found.crc else None


def _crc(number: int, content: bytes) -> int:
    """Of both: a write that ended behind the number would make the old content the newest."""
    return crc32(content, crc32(b"%d" % number))
