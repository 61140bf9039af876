"""What a device host keeps of its interlocks, in a small file, so that tripped stays tripped when the host is killed.

The file is replaced as a whole before an effect acts. What was written survives the end of the process at once; it is
also synced to the disk, afterwards, for a loss of power. A thread of its own writes: a disk that hangs delays an effect
by at most `MOST_S`, and a full one by nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.retry import edge_log

_log = logging.getLogger(__name__)
T = TypeVar("T", bound=Struct)

MOST_S = 0.05
"""An effect waits at most so long for the file."""


class SavedLatches(Generic[T]):
    """The saved state of the interlocks of one host; without a file nothing is saved."""

    def __init__(self, file: Path | None, kind: type[T], clock: Clock) -> None:
        self._file = file
        self._kind = kind
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="interlocks")
        self._syncing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="interlocks sync")
        self._report = edge_log(
            _log, "interlocks: what has tripped is not saved", "interlocks: what has tripped is saved again"
        )
        self.problem = ""
        """Why the last attempt to save failed; empty: it did not."""

    def load(self) -> T | None:
        """What was saved; None where there is nothing. A file that cannot be read is put aside."""
        if self._file is None:
            return None
        try:
            return decode_json(self._file.read_bytes(), self._kind)
        except FileNotFoundError:
            return None
        except (OSError, Malformed) as error:
            self.problem = f"{self._file} cannot be read: {error}"
            _log.error("interlocks: %s", self.problem)
            with suppress(OSError):
                self._file.rename(self._file.with_suffix(".unreadable"))
            return None

    async def save(self, state: T) -> None:
        """Save it. Returns when it is written, or after MOST_S; then it is written later."""
        if self._file is None:
            return
        data = msgspec.json.encode(state)
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, self._file, data)
        writing.add_done_callback(self._written)
        with suppress(TimeoutError, OSError):
            async with within(self._clock, MOST_S):
                await asyncio.shield(writing)

    def close(self) -> None:
        """End the thread; what is being written is completed."""
        self._thread.shutdown(wait=False)
        self._syncing.shutdown(wait=False)

    def _write(self, file: Path, data: bytes) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(data)
        new.replace(file)
        self._syncing.submit(_sync, file)

    def _written(self, writing: asyncio.Future[None]) -> None:
        if writing.cancelled():
            return
        if error := writing.exception():
            self.problem = str(error)
            cause = Cause(
                code="not_saved",
                message=str(error),
                source="interlocks",
                suggestion="make room on the disk of the data folder: an interlock that trips now is forgotten when"
                " this process is killed",
            )
            self._report.failed(cause)
        else:
            self.problem = ""
            self._report.worked()


def _sync(file: Path) -> None:
    with suppress(OSError):
        for path in (file, file.parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
