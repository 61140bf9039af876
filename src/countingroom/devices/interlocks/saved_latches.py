"""What a device host keeps of its interlocks, in a small file, so that tripped stays tripped when the host is killed.

It is written before an effect acts (`slot_file.py`). What was written survives the end of the process at once; it is
also synced to the disk, afterwards, for a loss of power: that takes 3 ms to 50 ms, in which the high voltage would stay
on. A thread of its own writes: a disk that hangs delays an effect by at most `MOST_S`, and a full one by nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.retry import edge_log
from countingroom.devices.interlocks.slot_file import SlotFile

_log = logging.getLogger(__name__)
T = TypeVar("T", bound=Struct)

MOST_S = 0.05
"""An effect waits at most so long for the file."""


class SavedLatches(Generic[T]):
    """The saved state of the interlocks of one host; without a file nothing is saved."""

    def __init__(self, file: Path | None, kind: type[T], clock: Clock, told: Callable[[], None]) -> None:
        """`told` is called when `problem` has changed."""
        self._told = told
        self._file = SlotFile(file) if file else None
        self._kind = kind
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="interlocks")
        self._syncing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="interlocks sync")
        self._writing: asyncio.Future[None] | None = None
        """What was begun last."""
        self._unsynced: Future[None] | None = None
        """The last sync that was asked for."""
        self._report = edge_log(
            _log, "interlocks: what has tripped is not saved", "interlocks: what has tripped is saved again"
        )
        self._unread = ""
        """Why what an earlier process saved is not known; it stays until this process ends."""
        self._unsaved = ""
        """Why the last attempt to save failed; empty: it did not."""

    @property
    def problem(self) -> str:
        """Why what has tripped was not read or is not saved; empty: it was and it is."""
        return "; ".join(one for one in (self._unread, self._unsaved) if one)

    def load(self) -> T | None:
        """What was saved; None where there is nothing. A file with another content is put aside; one that cannot be
        read is left, because what it has may be good."""
        if self._file is None:
            return None
        path = self._file.path
        try:
            content = self._file.read()
            return None if content is None else decode_json(content, self._kind)
        except (OSError, Malformed) as error:
            self._unread = f"{path} cannot be read: {error}"
            _log.error("interlocks: %s", self._unread)
            if isinstance(error, Malformed):
                with suppress(OSError):
                    path.rename(path.with_suffix(".unreadable"))
            return None

    def begin(self, state: T) -> None:
        """Begin to save it."""
        if self._file is None:
            return None
        try:
            data = msgspec.json.encode(state)
        except Exception as error:  # the effect must act all the same
            return self._saved(error)
        self._writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, self._file, data)
        self._writing.add_done_callback(self._written)
        return None

    async def written(self) -> None:
        """Returns when all that was begun is written, or after MOST_S; then it is written later."""
        if self._writing is None or self._writing.done():
            return
        with suppress(TimeoutError):
            async with within(self._clock, MOST_S):
                await asyncio.wait({self._writing})

    def close(self) -> None:
        """End the threads; what is being written is completed."""
        if self._file:
            self._thread.submit(self._file.close)
        self._thread.shutdown(wait=False)
        self._syncing.shutdown(wait=False)

    def _write(self, file: SlotFile, data: bytes) -> None:
        file.write(data)
        if self._unsynced is None or self._unsynced.running() or self._unsynced.done():
            with suppress(RuntimeError):  # it is closed, and the system writes to the disk by itself
                self._unsynced = self._syncing.submit(_sync, file)

    def _written(self, writing: asyncio.Future[None]) -> None:
        if not writing.cancelled():
            self._saved(writing.exception())

    def _saved(self, error: BaseException | None) -> None:
        """What came of an attempt."""
        before = self._unsaved
        if error:
            self._unsaved = str(error)
            cause = Cause(
                code="not_saved",
                message=str(error),
                source="interlocks",
                suggestion="make room on the disk of the data folder: an interlock that trips now is forgotten when"
                " this process is killed",
            )
            self._report.failed(cause)
        else:
            self._unsaved = ""
            self._report.worked()
        if self._unsaved != before:
            self._told()


def _sync(file: SlotFile) -> None:
    with suppress(OSError):
        file.sync()
