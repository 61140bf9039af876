"""Sends what waits in the outbox, in its order, until it is stored outside; and a sign of life where nothing waits.

What is sent next follows from the last answer. So a lost connection, a lost answer and a restart of either side are the
same case.

A record that the outside refuses, for example one of a kind that an older receiver does not know, must not keep back
those behind it. Where a batch is refused and a sign of life is taken, smaller batches are sent, down to one record. It
is left out and told: at once where the outside says that it does not know its kind, else after REFUSED_S.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.mirror.feed import MOST_RECORDS, FeedBatch, FeedRecord
from countingroom.core.retry import EdgeReport, Retry, edge_log
from countingroom.mirror.feed.outbox import FeedOutbox
from countingroom.mirror.feed.target import REFUSED, REFUSED_KIND, FeedTarget

_log = logging.getLogger(__name__)

IDLE_S = 10.0
"""A sign of life is sent when there was nothing else for this time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
BATCH_BYTES = 1 << 20
REFUSED_S = 600.0
"""A record that is refused, alone, for so long is left out, where signs of life are taken. An outside whose disk is
full may refuse a record too, and has time to get room."""


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
        left_out: Callable[[FeedRecord, Cause], None] = lambda record, cause: None,
    ) -> None:
        """`changed` is called after each batch that was stored, and when sending fails or works again; `left_out` with
        the first record of each kind that the outside refuses, and why."""
        self._outbox = outbox
        self._target = target
        self._clock = clock
        self._changed = changed
        self._left_out = left_out
        self.left_out: Counter[str] = Counter()
        """Kind -> records that were left out since the start."""
        self._most = MOST_RECORDS
        """Records of the next batch."""
        self._alone: tuple[int, float] | None = None
        """Sequence of a record that is refused alone, and since when, as monotonic time."""
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
        records = self._outbox.batch(self._most, BATCH_BYTES)
        batch = self._batch(records)
        try:
            answer = await self._target.take(batch)
        except LinkError as error:
            if not records or error.cause.code not in (REFUSED, REFUSED_KIND):
                raise
            answer = await self._target.take(self._batch(()))  # fails where the reason is another one
            self.contact_ns = self._clock.now_ns()
            if answer.last == batch.after:
                self._refused(records, error)
        else:
            self._most = min(MOST_RECORDS, 2 * self._most)
            self._alone = None
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

    def _batch(self, records: Sequence[FeedRecord]) -> FeedBatch:
        return FeedBatch(
            feed=self._outbox.feed,
            after=self._outbox.sent,
            sent_ns=self._clock.now_ns(),
            waiting=max(0, self._outbox.waiting().records - len(records)),
            records=tuple(records),
            withheld=self._outbox.withheld(),
        )

    def _refused(self, records: Sequence[FeedRecord], error: LinkError) -> None:
        """The outside takes a sign of life and not these. Raises the error while it may still take a single one."""
        if len(records) > 1:
            self._most = max(1, len(records) // 2)
            return
        (one,) = records
        now = self._clock.monotonic()
        if self._alone is None or self._alone[0] != one.sequence:
            self._alone = (one.sequence, now)
        is_known = error.cause.code == REFUSED_KIND or one.kind in self.left_out
        if not is_known and now - self._alone[1] < REFUSED_S:
            raise error
        self._outbox.leave_out(one.sequence)
        if one.kind not in self.left_out:
            _log.warning("mirror: records of the kind %s are left out of the feed: %s", one.kind, error.cause)
            self._left_out(one, error.cause)
        self.left_out[one.kind] += 1

    def _failed(self, cause: Cause) -> None:
        self.cause = cause
        self._log.failed(cause)
        self._changed()

    def _worked(self) -> None:
        self.cause = None
        self._log.worked()
        self._changed()
