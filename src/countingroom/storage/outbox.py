"""Records that wait in a file until the database takes them, the oldest first. They survive `kill -9` and a restart.

A file `waiting-*.jsonl` has one record on each line, synced to disk; a line `done` says that the oldest record before
it is stored. Each process writes files of its own and holds a lock on them; the files of a dead process are adopted. A
process that dies between the store and its `done` repeats records: a repetition must have no effect.

A process that must keep records while the disk is full calls `reserve` in advance: it makes a file `reserve-*` of
zeros, whose blocks are then allocated. The file becomes the next file of records and is overwritten from its begin.

A writer uses it through `storage/kept_records.py`, has a folder of its own, and stores each record so that a repetition
does no harm.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from countingroom.core.errors import LinkError

_log = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
"""Size of the file of one process; further records are refused."""

_DONE = b"done\n"


class Outbox:
    """The waiting records of one process. Its methods wait for the disk: call them in a thread, one at a time."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES, reserve_bytes: int = 0) -> None:
        """`reserve_bytes`: of the file that `reserve` makes."""
        self.folder = folder
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes
        self._reserve: _WaitingFile | None = None
        self._files: list[_WaitingFile] = []
        """The oldest first; the last one may be the file of this process, to which records are added."""
        self._own: _WaitingFile | None = None
        self._unusable: set[Path] = set()
        """Files that cannot be read as records. Each is logged once."""

    def __iter__(self) -> Iterator[bytes]:
        for file in self._files:
            yield from file.records

    @property
    def first(self) -> bytes | None:
        """The oldest record; None if no record waits."""
        return next(iter(self), None)

    @property
    def path(self) -> Path:
        """The file to name in a message."""
        return self._own.path if self._own else self._files[0].path if self._files else self.folder

    def add(self, records: Iterable[bytes]) -> None:
        """Write records, each without a line end, to the end of the file and sync them. LinkError (`full`) if the file
        would be too large, OSError if the disk refuses; then no record is added."""
        added = list(records)
        if self._own is None:
            self._own = self._reserve.renamed() if self._reserve else _WaitingFile.create(self.folder)
            self._reserve = None
            self._files.append(self._own)
        if self._own.size + sum(map(len, added)) > self._most_bytes:
            raise LinkError(
                f"{self._own.path} has {self._own.size:,} bytes and takes no more",
                source="storage",
                code="full",
                suggestion="see why the database takes nothing",
            )
        self._own.add(added)

    def remove(self, number: int) -> None:
        """Remove the oldest records, which are stored. A file without records is deleted. OSError: they are removed
        here, but may come again after a restart."""
        while number:
            file = self._files[0]
            stored = min(number, len(file.records))
            number -= stored
            for _ in range(stored):
                file.records.popleft()
            if file.records:
                file.append(_DONE * stored)
                continue
            self._files.remove(file)
            if file is self._own:
                self._own = None
            file.delete()

    def reserve(self) -> None:
        """Make the reserve for the next file of records, unless it exists. OSError if the disk refuses."""
        if self._reserve or not self._reserve_bytes:
            return
        for path in self.folder.glob("reserve-*"):
            if self._reserve is None:
                self._reserve = _WaitingFile.reuse(path, self._reserve_bytes)
        if self._reserve is None:
            self._reserve = _WaitingFile.create(self.folder, zeros=self._reserve_bytes)

    def adopt(self) -> tuple[int, list[bytes]]:
        """Take over the files of dead processes. Returns the place of their records among all records, and the records.
        They come after records that were adopted earlier, and before those of this process."""
        mine = {file.path for file in self._files}
        found = [self._adopt(path) for path in sorted(self.folder.glob("waiting-*.jsonl")) if path not in mine]
        adopted = [file for file in found if file]
        before = [file for file in self._files if file is not self._own]
        own = [file for file in self._files if file is self._own]
        self._files = [*before, *adopted, *own]
        return sum(len(file.records) for file in before), [record for file in adopted for record in file.records]

    def _adopt(self, path: Path) -> _WaitingFile | None:
        try:
            return _WaitingFile.adopt(path, most_bytes=2 * max(self._most_bytes, self._reserve_bytes))
        except OSError as error:
            if path not in self._unusable:  # it stays there, and is looked at again and again
                self._unusable.add(path)
                _log.warning("%s is not read, and left as it is: %s", path, error.strerror or error)
            return None

    def close(self) -> None:
        """Close the files and free their locks; the records stay."""
        for file in self._files:
            file.close()
        if self._reserve:
            self._reserve.delete()
        self._reserve = None
        self._files.clear()
        self._own = None


class _WaitingFile:
    """One file, locked by this process."""

    def __init__(self, path: Path, descriptor: int, records: Iterable[bytes], size: int) -> None:
        self.path = path
        self.records = deque(records)
        self.size = size
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, *, zeros: int = 0) -> _WaitingFile:
        """A new file; with zeros it is a reserve, with all its blocks allocated on the disk."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = _reserve_path(folder) if zeros else _waiting_path(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        file = cls(path, descriptor, (), 0)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.append(bytes(zeros))
            os.fsync(descriptor)
            sync_folder(folder)
        except OSError:
            file.delete()
            raise
        file.size = 0
        return file

    @classmethod
    def reuse(cls, path: Path, size: int) -> _WaitingFile | None:
        """The reserve of a dead process; None if its process is alive or the reserve is too small."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_size >= size:
                return cls(path, descriptor, (), 0)
            path.unlink()
        except OSError:  # its process lives and holds the lock
            pass
        os.close(descriptor)
        return None

    def renamed(self) -> _WaitingFile:
        """The reserve as a file of records."""
        self.path = self.path.rename(_waiting_path(self.path.parent))
        sync_folder(self.path.parent)
        return self

    @classmethod
    def adopt(cls, path: Path, *, most_bytes: int) -> _WaitingFile | None:
        """The file of a dead process; None if its process is alive, or if the file is gone or empty. OSError if it is
        no file of records: a link, a pipe, a file with more than `most_bytes`, or one that cannot be read."""
        # O_NONBLOCK: to open a pipe would block until a writer opens it too.
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            _check_file(os.fstat(descriptor), most_bytes)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # its process lives and holds the lock
                os.close(descriptor)
                return None
            data = _whole(descriptor)  # after the lock: the file may have been emptied and deleted meanwhile
            whole = data[: data.rfind(b"\n") + 1]
            if data[len(whole) :].strip(b"\0"):
                # The last line is incomplete, so its process died before it answered: the record was never promised.
                os.ftruncate(descriptor, len(whole))
        except OSError:
            os.close(descriptor)
            raise
        waiting: deque[bytes] = deque()
        for line in whole.split(b"\n")[:-1]:
            if line + b"\n" != _DONE:
                waiting.append(line)
            elif waiting:
                waiting.popleft()
        file = cls(path, descriptor, waiting, len(whole))
        if not waiting:
            file.delete()
            return None
        return file

    def add(self, records: list[bytes]) -> None:
        before = self.size
        try:
            self.append(b"".join(record + b"\n" for record in records))
            os.fsync(self._descriptor)
        except OSError:
            # A full disk may have taken a part of a record; the next record must not be appended to it.
            os.ftruncate(self._descriptor, before)
            self.size = before
            raise
        self.records.extend(records)

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self.size)
            self.size += written
            view = view[written:]

    def delete(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        os.close(self._descriptor)


def _check_file(about: os.stat_result, most_bytes: int) -> None:
    """OSError if it is no file of records."""
    if not stat.S_ISREG(about.st_mode):
        raise OSError("it is no file")
    if about.st_size > most_bytes:
        raise OSError(f"it has {about.st_size:,} bytes, more than a process writes")


def _whole(descriptor: int) -> bytes:
    pieces: list[bytes] = []
    place = 0
    while piece := os.pread(descriptor, 1 << 20, place):
        pieces.append(piece)
        place += len(piece)
    return b"".join(pieces)


def _waiting_path(folder: Path) -> Path:
    return folder / f"waiting-{time.time_ns():020d}-{uuid4().hex[:8]}.jsonl"


def _reserve_path(folder: Path) -> Path:
    return folder / f"reserve-{uuid4().hex[:8]}"


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk, so that a new file is found after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
