"""An event loop in which waiting takes no time."""

from __future__ import annotations

import asyncio
from typing import Any

from countingroom.core.clock import SystemClock


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while nothing is ready, and then at once: a time-out of 20 ms is the same
    on every machine, whatever else it does."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._look = self._selector.select
        self._selector.select = self._skip

    def time(self) -> float:
        return self._seconds

    def _skip(self, timeout: float | None = None) -> list[Any]:
        self._seconds += timeout or 0.0
        return self._look(0 if timeout is not None else None)


class LoopClock(SystemClock):
    """The time of the running loop."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()
