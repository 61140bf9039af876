"""Syncs a file to the disk in a separate thread, soon after a request."""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future
from pathlib import Path

from countingroom.core.ending_threads import EndingThreads

_log = logging.getLogger(__name__)


class LateSync:
    """For writes that must not wait for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.thread = EndingThreads(1, "storage-sync")
        self._asked: Future[None] | None = None

    def soon(self) -> None:
        """Sync all data that are written by now. Called by one thread only."""
        # A sync that waits in the queue covers this write too. A running one may have begun before it.
        if self._asked is None or self._asked.running() or self._asked.done():
            self._asked = self.thread.submit(self._sync)

    def _sync(self) -> None:
        try:
            opened = os.open(self._path, os.O_RDONLY)
            try:
                os.fdatasync(opened)
            finally:
                os.close(opened)
        except FileNotFoundError:
            return  # SQLite deleted the log after a checkpoint, which has synced its content
        except OSError as error:
            _log.error("%s is not synced to the disk: %s", self._path, error)
