"""The history service: writes the readings of the bus to a store, keeps the store in order and answers queries.

The caller chooses the store. Writing and answering have threads of their own, because a store blocks.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TypeVar

from countingroom.bus.port import Bus, Handler, Message
from countingroom.bus.presence import heartbeat
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.history.description import HistorySection
from countingroom.history.file_copy import FileCopies
from countingroom.history.metrics import HistoryMetrics
from countingroom.history.notes import Notes
from countingroom.history.port import HistoryStore
from countingroom.history.queries import Queries
from countingroom.history.rollup import Rollup
from countingroom.history.stores.followers import Followers
from countingroom.history.stores.tracker_layout import TrackerField
from countingroom.history.writer import Writer

_ANSWERING = 2
"""The number of queries that are answered at the same time; further ones wait."""

T = TypeVar("T")


class HistoryService:
    """Keeps the history in the store that `open_store` opens. `run` ends only when cancelled, or with the LinkError of
    `open_store`."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        section: HistorySection,
        open_store: Callable[[], HistoryStore],
        *,
        tracker: Mapping[str, TrackerField] | None = None,
    ) -> None:
        """`tracker`: point -> its field, for further stores in the layout of the tracker DCS."""
        self._bus = bus
        self._clock = clock
        self._section = section
        self._open_store = open_store
        self._tracker = tracker

    async def run(self) -> None:
        with (
            ThreadPoolExecutor(1, "history-writer") as writing,
            ThreadPoolExecutor(_ANSWERING, "history-answers") as answering,
        ):
            store = await _in(writing, self._open_store)
            try:
                await self._serve(store, writing, answering)
            finally:
                answering.shutdown()  # first: no query may use the store after its close
                # A cancelled close would leave the queue of the thread, behind an append, and the file open.
                await asyncio.shield(_in(writing, store.close))

    async def _serve(self, store: HistoryStore, writing: ThreadPoolExecutor, answering: ThreadPoolExecutor) -> None:
        notes = Notes(self._bus, self._clock)
        metrics = HistoryMetrics()
        writer = Writer(self._bus, self._clock, store, notes, writing, flush_s=self._section.flush, metrics=metrics)
        rollup = Rollup(
            self._clock,
            store,
            notes,
            lambda work: _in(writing, work),
            max_disk_gb=self._section.max_disk_gb,
        )
        followers = Followers(
            self._bus,
            self._clock,
            store,
            notes,
            self._section.stores,
            flush_s=self._section.flush,
            registry=metrics.registry,
            tracker=self._tracker,
        )
        copies = FileCopies(store, self._clock, lambda work: _in(answering, work))
        async with AsyncExitStack() as stack:

            def figures(_: bytes) -> bytes:
                return metrics.text()

            for name, answer in (*Queries(store, self._clock, metrics=metrics).answers.items(), ("metrics", figures)):
                handler = _handler(answer, answering)
                subject = subjects.query("history", name)
                await stack.enter_async_context(self._bus.respond(subject, handler, concurrency=_ANSWERING))
            await stack.enter_async_context(self._bus.respond(subjects.query("history", "copy"), copies.handle))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(copies.run())
                tasks.create_task(notes.run())
                tasks.create_task(writer.run())
                tasks.create_task(rollup.run())
                tasks.create_task(followers.run())
                tasks.create_task(
                    heartbeat(
                        self._bus,
                        self._clock,
                        role="history",
                        instance="main",
                        boot=uuid.uuid4().hex,
                        warnings=followers.warnings,
                    )
                )


def _handler(answer: Callable[[bytes], bytes], threads: ThreadPoolExecutor) -> Handler:
    async def handle(message: Message) -> bytes:
        return await _in(threads, lambda: answer(message.data))

    return handle


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
