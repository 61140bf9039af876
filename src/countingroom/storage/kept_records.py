"""Keeps the records of a writer in a file while the database does not take them, without delaying its event loop.

The run book (`runs/run_book_writer.py`) and the audit (`console/audit_writer.py`) use it. Each of them defines its
records, their order in the database, and the effect of a repetition.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from countingroom.core.clock import Clock, within
from countingroom.core.ending_threads import EndingThreads
from countingroom.core.errors import LinkError
from countingroom.storage.outbox import Outbox

_log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_S = 3.0
"""The time that `close` waits for the disk; a supervisor kills a process 5 s after it asked it to end."""


class KeptRecords:
    """The outbox of one writer, in a thread of its own because its methods wait for the disk."""

    def __init__(self, outbox: Outbox | None, what: str) -> None:
        """`outbox`: None: records wait in memory only. `what`: the records, for messages: `entries of the audit`."""
        self.outbox = outbox
        self.failure = ""
        """Why the last attempt to write records into the file failed; empty if it worked."""
        self._what = what
        self._disk: Executor = EndingThreads(1, what)

    @property
    def place(self) -> str:
        """Where records wait, for messages: `in FILE`, `in memory (REASON)`."""
        if self.outbox is None or self.failure:
            return f"in memory ({self.failure})" if self.failure else "in memory"
        return f"in {self.outbox.path}"

    @property
    def takes_nothing(self) -> bool:
        """Whether the file takes no records now, or there is none."""
        return self.outbox is None or bool(self.failure)

    async def adopt(self) -> tuple[int, list[bytes]]:
        """Take over the records of dead processes. Returns their place among all records, and the records. The caller
        must count them, because `remove_first` removes them before its own."""
        if self.outbox is None:
            return 0, []
        try:
            return await self.on_disk(self.outbox.adopt)
        except OSError as error:
            _log.warning("%s: %s is not read: %s", self._what, self.outbox.folder, error)
            return 0, []

    async def reserve(self) -> None:
        """Make room on the disk for the records of this process."""
        if self.outbox is None:
            return
        try:
            await self.on_disk(self.outbox.reserve)
        except OSError as error:
            _log.warning("%s: no room is taken in %s: %s", self._what, self.outbox.folder, error)

    async def keep(self, records: Sequence[bytes]) -> int:
        """Write records into the file. Returns how many are in it: all, or 0 if the file does not take them."""
        if not records or self.outbox is None:
            return 0
        try:
            await self.on_disk(partial(self.outbox.add, records))
        except (OSError, LinkError) as error:
            if not self.failure:
                _log.error("%s wait in memory only: %s", self._what, error)
            self.failure = str(error)
            return 0
        self.failure = ""
        return len(records)

    async def remove_first(self, number: int) -> None:
        """Remove the oldest records from the file, because they are stored. If that fails, they are stored once more
        after a restart."""
        if not number or self.outbox is None:
            return
        try:
            await self.on_disk(partial(self.outbox.remove, number))
        except OSError as error:
            _log.warning("%s: %s cannot be shortened: %s", self._what, self.outbox.folder, error)

    async def stored(
        self, clock: Clock, attempt: Coroutine[Any, Any, T], *, grace_s: float, keep: Callable[[], Awaitable[None]]
    ) -> T:
        """The result of an attempt to store records; `keep` is called after each `grace_s` that it takes. Raises what
        the attempt raises."""
        task = asyncio.create_task(attempt)
        try:
            while not task.done():
                with suppress(TimeoutError):
                    async with within(clock, grace_s):
                        await asyncio.wait([task])
                if not task.done():
                    await keep()
            return task.result()
        finally:
            task.cancel()

    async def on_disk(self, work: Callable[[], T]) -> T:
        """Do work that waits for the disk, after the work before it."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """The same without waiting for its end."""
        return self._disk.submit(work)

    def close(self, rest: Sequence[bytes]) -> bool:
        """Put the rest into the file and close it; returns whether the rest is in it. It waits for the disk, up to
        CLOSE_S, because the process ends: then the rest is lost, unless the disk takes it before the end."""
        ended = self._disk.submit(self._put_rest, rest)
        self._disk.shutdown(wait=False)
        try:
            return ended.result(CLOSE_S)
        except TimeoutError:
            _log.error("%s: the disk does not answer", self._what)
            return not rest

    def _put_rest(self, rest: Sequence[bytes]) -> bool:
        if self.outbox is None:
            return not rest
        is_kept = not rest
        with suppress(OSError, LinkError):  # the caller tells it
            if rest:
                self.outbox.add(rest)
                is_kept = True
        self.outbox.close()
        return is_kept
