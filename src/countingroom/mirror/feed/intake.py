"""Takes batches of the feed into the public store, each record once and in order.

The last sequence of the feed is stored in the transaction of the records: a process that is killed at any point has
stored both or none.
"""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import msgspec

from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.mirror.feed import FeedAnswer, FeedBatch, FeedRecord, WithheldCount
from countingroom.core.mirror.raw_records import Sort
from countingroom.core.mirror.redactor import received
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import Cursor, RecordEntry, RecordKind, SourceState, WithheldEntry

FEED = "feed"
"""Name of the feed among the sources of the store."""
NO_KIND = "kind"
"""Code of the error for a record of a kind that is not known here."""
KINDS = get_args(RecordKind)
"""Of records in the store; the feed is the one source of them."""
_US_NS = 1000
_NO_END = frozenset({"run"})
"""Kinds of which nothing ends: one that is gone has only left the present, and its history does not end with it."""
_NO_HISTORY = frozenset({"note"})
"""Kinds of which nothing stays but the present: a note that is withdrawn must not be in the store any more."""


class FeedIntake:
    """The receiving end: a target of the feed."""

    def __init__(self, store: PublicStore, reader: PublicReader, clock: Clock) -> None:
        """`reader`: of the same store. The caller closes the store."""
        self._store = store
        self._reader = reader
        self._clock = clock
        self._turn = asyncio.Lock()
        self._last: dict[str, int] = {}
        self._is_open = False

    async def take(self, batch: FeedBatch) -> FeedAnswer:
        """Store a batch if it follows what is stored. LinkError where the store does not answer."""
        async with self._turn:
            if batch.feed not in self._last:
                if not self._is_open:
                    await self._store.open()  # it makes the tables, where they are not there
                    await self._reader.open()
                    self._is_open = True
                known = await self._store.cursors(FEED)
                self._last = {batch.feed: known.get(batch.feed, 0)}
            last = self._last[batch.feed]
            if batch.after != last:
                return FeedAnswer(last=last)
            try:
                self._last[batch.feed] = await self._take(batch)
            except BaseException:
                self._last.clear()  # whether it was stored is not known
                raise
            return FeedAnswer(last=self._last[batch.feed])

    async def close(self) -> None:
        """Close the reader."""
        await self._reader.close()

    async def _take(self, batch: FeedBatch) -> int:
        entries = [_entry(one) for one in batch.records]
        cursor = None
        if batch.records:
            if not batch.after:  # a new feed sends all present states: others of an earlier feed are no more
                entries = [*await self._no_more(batch), *entries]
            last = batch.records[-1].sequence
            cursor = Cursor(upstream=received(FEED), host=received(batch.feed), revision=last)
        else:
            last = batch.after
        state = SourceState(
            source=received(FEED),
            kind="feed",
            is_connected=True,
            contact_at=self._clock.now_ns() // _US_NS,
            behind=batch.waiting,
            taken=len(batch.records),
        )
        counts = [_count(batch.feed, one) for one in batch.withheld if one.kind in KINDS]
        await self._store.take(cursor=cursor, records=entries, states=[state], withheld=counts)
        return last

    async def _no_more(self, batch: FeedBatch) -> list[RecordEntry]:
        first = batch.records[0].sequence
        return [
            RecordEntry(kind=kind, key=received(row.key), sequence=first - 1, at=row.at, body=None, keep=False)
            for kind in KINDS
            for row in await self._reader.now(kind)
            if row.sequence < first - 1
        ]


def _entry(one: FeedRecord) -> RecordEntry:
    body: dict[str, Any] | None = msgspec.json.decode(one.body) if one.sort is not Sort.GONE else None
    kind: Any = one.kind
    if kind not in KINDS:  # of a newer version
        raise LinkError(f"records of the kind {kind!r} are not known here", source="mirror.feed", code=NO_KIND)
    return RecordEntry(
        kind=kind,
        key=received(one.key),
        sequence=one.sequence,
        at=one.at_ns // _US_NS,
        body=None if body is None else received(body),
        keep=kind not in _NO_HISTORY and (one.sort is not Sort.GONE or kind not in _NO_END),
        is_state=one.sort is not Sort.ENTRY,
    )


def _count(feed: str, one: WithheldCount) -> WithheldEntry:
    kind: Any = one.kind
    return WithheldEntry(
        feed=received(feed), kind=kind, records=one.records, lines=one.lines, lines_withheld=one.lines_withheld
    )
