"""Carries readings from the bus to the store, each exactly once.

It fetches a batch, appends it together with its stream position, and only then acknowledges it. After a crash the
position of the store decides, because that of the consumer may be older or newer. A repeated message is at or before
the position; a message that the consumer skipped is read from the stream. While the store refuses writes (disk full)
the batch is repeated with growing pauses, and the stream on the bus keeps new messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from countingroom.bus.port import Bus, Consumer, Stored
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Malformed
from countingroom.core.retry import Retry
from countingroom.history.columns import Columns
from countingroom.history.metrics import HistoryMetrics
from countingroom.history.missing_messages import Hole, Numbering
from countingroom.history.notes import Notes
from countingroom.history.packed_readings import Packed, PackedDecoder, unpack
from countingroom.history.port import HistoryStore, Position

NAME = "history"
MOST, MOST_BYTES = 8192, 8 << 20
"""Messages of one transaction, and about so many bytes: about 250,000 values. A large transaction costs a third of many
small ones."""
_FETCHED = 512
"""Messages that are fetched at once."""
_PAUSE_FIRST_S, _PAUSE_MOST_S = 0.5, 30.0

T = TypeVar("T")


class Writer:
    """Carries readings from the bus to the store."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        store: HistoryStore,
        notes: Notes,
        threads: Executor,
        *,
        flush_s: float,
        metrics: HistoryMetrics | None = None,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._store = store
        self._notes = notes
        self._threads = threads
        self._flush_s = flush_s
        self._metrics = metrics or HistoryMetrics()
        self._numbering = Numbering()
        self._decoder = PackedDecoder()
        report = notes.on_edge("the history cannot be written now", "the history is written again", severity=2)
        self._retry = Retry(clock, report, pause_s=_PAUSE_FIRST_S, longest_s=_PAUSE_MOST_S)

    async def run(self) -> None:
        """Until cancelled."""
        consumer = await self._retry.run(lambda: self._bus.consumer(subjects.READINGS_STREAM, NAME))
        ahead: asyncio.Task[list[Stored]] | None = None

        async def following() -> list[Stored]:
            nonlocal ahead
            task, ahead = ahead or asyncio.create_task(self._batch(consumer)), None
            return await task

        try:
            while True:
                fetched = await self._retry.run(following)
                if fetched:
                    # The next batch comes while this one is written: the store has a thread, the bus this one.
                    ahead = asyncio.create_task(self._batch(consumer))
                    await self._fill(fetched[0].sequence)
                    await self._keep(fetched)
                    await self._acknowledge(consumer, fetched[-1].sequence)
        finally:
            if ahead:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _batch(self, consumer: Consumer) -> list[Stored]:
        """The messages that arrive within the time of a batch, up to its limits."""
        until = self._clock.monotonic() + self._flush_s
        part = found = await consumer.fetch(_FETCHED, timeout_s=self._flush_s)
        size = sum(len(stored.data) for stored in part)
        while len(part) == _FETCHED and len(found) < MOST and size < MOST_BYTES:
            if (left := until - self._clock.monotonic()) <= 0:
                break
            try:
                part = await consumer.fetch(_FETCHED, timeout_s=left)
            except LinkError:
                break  # the next batch fails then; this one is kept
            found = [*found, *part]
            size += sum(len(stored.data) for stored in part)
        return found

    async def _fill(self, before: int) -> None:
        """Read messages from the stream that the store lacks and the consumer will not deliver.

        The consumer is ahead of the store, for example, if the file of the store was restored from a backup.
        """
        start = self._store.position().sequence + 1
        if start >= before:
            return
        batch: list[Stored] = []
        async with self._bus.replay(subjects.READINGS_STREAM, from_sequence=start, follow=False) as stored:
            async for message in stored:
                if message.sequence >= before:
                    break
                batch.append(message)
                if len(batch) == MOST:
                    await self._keep(batch)
                    batch = []
        if batch:
            await self._keep(batch)
        if (lost := before - 1 - self._store.position().sequence) and start > 1:
            self._notes.say(
                f"{lost} messages left the stream before the history had them", severity=2, data={"messages": lost}
            )

    async def _keep(self, fetched: Sequence[Stored]) -> None:
        """Append to the store, repeating until it works."""
        new = [stored for stored in fetched if not _has(self._store.position(), stored)]
        if not new:
            return
        columns, holes, unreadable = await self._thread(self._flatten, new)
        # The position moves also over messages that cannot be read; otherwise one of them would stop the history.
        position = Position(sequence=new[-1].sequence, stored_ns=new[-1].stored_ns)
        await self._retry.run(lambda: self._append(columns, position))
        self._metrics.points.inc(len(columns))
        self._metrics.messages.inc(len(new))
        self._metrics.delay.set((self._clock.now_ns() - new[-1].stored_ns) / 1e9)
        for hole in holes:
            count = hole.last - hole.first + 1
            self._metrics.missing.labels(hole.device).inc(count)
            self._notes.say(
                f"{count} messages of {hole.device} never came (numbers {hole.first} to {hole.last})",
                severity=3,
                data={"device": hole.device, "first": hole.first, "last": hole.last},
            )
        for stored, error in unreadable:
            self._metrics.unreadable.inc()
            self._bus.dead_letters.add(stored.subject, stored.data, error)

    async def _append(self, columns: Columns, position: Position) -> None:
        try:
            await self._thread(self._store.append, columns, position)
        except LinkError:
            self._metrics.failures.inc()
            raise

    def _flatten(self, new: Sequence[Stored]) -> tuple[Columns, list[Hole], list[tuple[Stored, Malformed]]]:
        readings: list[Packed] = []
        holes: list[Hole] = []
        unreadable: list[tuple[Stored, Malformed]] = []
        for stored in new:
            try:
                message = self._decoder.decode(stored.data)
            except Malformed as error:
                unreadable.append((stored, error))
                continue
            match self._numbering.take(message):
                case False:
                    self._metrics.repeated.inc()
                    continue
                case Hole() as hole:
                    holes.append(hole)
                case True:
                    pass
            readings.append(message)
        return unpack(readings), holes, unreadable

    async def _acknowledge(self, consumer: Consumer, sequence: int) -> None:
        try:
            await consumer.acknowledge(sequence)
        except LinkError:
            return  # the batch is delivered again, and `_has` recognises it

    async def _thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _has(position: Position, stored: Stored) -> bool:
    """Whether the store has the message. A lower number with a later time is of a stream that was created again."""
    return stored.sequence <= position.sequence and stored.stored_ns <= position.stored_ns
