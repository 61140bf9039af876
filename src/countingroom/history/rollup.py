"""Runs rollup and retention: once a minute the store sums up samples and removes expired ones.

Once a minute, because a minute is the finest rollup: then an answer computes at most the present and the last minute
from raw samples. The store makes the sums (duckdb_sql.py, `roll`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.times import format_time
from countingroom.history.notes import Notes
from countingroom.history.port import HistoryStore, Maintained

ROLLUP_PERIOD_S = 60.0


class Rollup:
    """Runs the maintenance of a store."""

    def __init__(
        self,
        clock: Clock,
        store: HistoryStore,
        notes: Notes,
        in_thread: Callable[[Callable[[], Maintained]], Awaitable[Maintained]],
        *,
        max_disk_gb: float,
    ) -> None:
        """`in_thread` runs a call in the thread that writes: `append` and `maintain` never run at the same time."""
        self._clock = clock
        self._store = store
        self._notes = notes
        self._in_thread = in_thread
        self._max_disk_gb = max_disk_gb

    async def run(self) -> None:
        """Until cancelled."""
        report = self._notes.on_edge("the history cannot be maintained", "the history is maintained again", severity=3)
        full = False
        while True:
            await self._clock.sleep(ROLLUP_PERIOD_S)
            try:
                done = await self._in_thread(lambda: self._store.maintain(self._clock.now_ns()))
            except LinkError as error:
                # A full disk: nothing of this call is in the store, so the next minute repeats all of it.
                report.failed(error.cause)
                continue
            report.worked()
            if done.early_ns is not None and not full:
                self._notes.say(
                    f"the history is at {self._max_disk_gb:g} GB: raw samples before "
                    f"{format_time(done.early_ns)} were removed, their summaries stay",
                    severity=3,
                )
            full = done.early_ns is not None  # a note only when it becomes full, not each minute
