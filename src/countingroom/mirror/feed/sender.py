"""Sends what waits in the outbox, in its order, until it is stored outside; and a sign of life where nothing waits.

Nothing is kept in memory between two batches: what is sent next follows from the last answer. So a lost connection, a
lost answer and a restart of either side are the same case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.mirror.feed import MOST_RECORDS, FeedBatch
from countingroom.core.retry import EdgeReport, Retry, edge_log
from countingroom.mirror.feed.outbox import FeedOutbox
from countingroom.mirror.feed.target import FeedTarget

_log = logging.getLogger(__name__)

IDLE_S = 10.0
"""A sign of life is sent when there was nothing else for this time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
BATCH_BYTES = 1 << 20


class FeedSender:
    """Sends until cancelled."""

    def __init__(
        self,
        outbox: FeedOutbox,
        target: FeedTarget,
        clock: Clock,
        *,
        report: EdgeReport | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called after each batch that was stored, and when sending fails or works again."""
        self._outbox = outbox
        self._target = target
        self._clock = clock
        self._changed = changed
        self._news = asyncio.Event()
        self.cause: Cause | None = None
        """Why nothing is sent now."""
        self.contact_ns = 0
        """When the outside last answered."""
        working = edge_log(_log, "mirror: the feed is not sent", "mirror: the feed is sent again", each_reason=True)
        self._log = report or working
        both = EdgeReport(self._failed, self._worked, each_reason=True)
        self._retry = Retry(clock, both, pause_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S, on=CountingRoomError)

    def news(self) -> None:
        """Something waits."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._retry.run(self._send)
                if self._outbox.waiting().records:
                    continue
                try:
                    async with within(self._clock, IDLE_S):
                        await self._news.wait()
                except TimeoutError:
                    pass
        finally:
            await self._target.close()

    async def _send(self) -> None:
        self._news.clear()
        records = self._outbox.batch(MOST_RECORDS, BATCH_BYTES)
        waiting = self._outbox.waiting().records - len(records)
        batch = FeedBatch(
            feed=self._outbox.feed,
            after=self._outbox.sent,
            sent_ns=self._clock.now_ns(),
            waiting=max(0, waiting),
            records=tuple(records),
            withheld=self._outbox.withheld(),
        )
        answer = await self._target.take(batch)
        self.contact_ns = self._clock.now_ns()
        if answer.last > self._outbox.last:
            _log.warning("mirror: the outbox is older than what was sent from it; all present states are sent anew")
            self._outbox.begin_anew(self._clock.now_ns())
        elif answer.last < batch.after:
            _log.warning("mirror: the outside has lost what was sent; what is still in the outbox is sent again")
            self._outbox.acknowledged(answer.last)
        else:
            self._outbox.acknowledged(answer.last)
        self._changed()

    def _failed(self, cause: Cause) -> None:
        self.cause = cause
        self._log.failed(cause)
        self._changed()

    def _worked(self) -> None:
        self.cause = None
        self._log.worked()
        self._changed()
