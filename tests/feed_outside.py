"""The outside of the feed in memory, behind a link that fails as a test says."""

from __future__ import annotations

import asyncio

import msgspec

from countingroom.core.errors import LinkError
from countingroom.core.mirror.feed import FeedAnswer, FeedBatch, read_batch


class Outside:
    """A store in memory behind a link that fails as it is told: before or after a batch is stored."""

    def __init__(self) -> None:
        self.feed: str = ""
        self.last = 0
        self.rows: list[tuple[str, str, bytes]] = []
        self.faults: list[str] = []
        self.batches = 0
        self.refuses: dict[str, str] = {}
        """Kind of record -> code of the error with which a batch that holds one is refused."""
        self.withheld: dict[str, tuple[int, int, int]] = {}
        """Kind -> records, lines and lines withheld, as the last batch told."""

    async def take(self, batch: FeedBatch) -> FeedAnswer:
        await asyncio.sleep(0)
        batch = read_batch(msgspec.json.encode(batch))
        self.batches += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise LinkError("cut", source="test")
        if code := next((self.refuses[one.kind] for one in batch.records if one.kind in self.refuses), ""):
            raise LinkError("the batch is refused", source="test", code=code)
        if batch.feed != self.feed:
            self.feed, self.last = batch.feed, 0
        if batch.after == self.last:
            self.rows += [(one.kind, one.key, bytes(one.body)) for one in batch.records]
            self.last = batch.records[-1].sequence if batch.records else self.last
            self.withheld = {one.kind: (one.records, one.lines, one.lines_withheld) for one in batch.withheld}
        if fault == "after":
            raise LinkError("cut", source="test")
        return FeedAnswer(last=self.last)

    async def close(self) -> None:
        pass

    def keys(self) -> list[str]:
        return [key for _, key, _ in self.rows]
