"""The history service: writes the readings of the bus to a store, keeps the store in order and answers queries.

Rollup and retention run once a minute (`MAINTAIN_S`). Which store it is, the caller chooses.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TypeVar

from countingroom.bus.port import Bus, Handler, Message
from countingroom.bus.presence import heartbeat
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.times import format_time
from countingroom.history.description import HistorySection
from countingroom.history.metrics import HistoryMetrics
from countingroom.history.notes import Notes
from countingroom.history.port import HistoryStore
from countingroom.history.questions import Questions
from countingroom.history.writer import Writer

MAINTAIN_S = 60.0
_ANSWERING = 2
"""Questions worked on at once; more wait."""

T = TypeVar("T")


class HistoryService:
    """Keeps the history in the store that `open_store` opens. `run` ends only when cancelled, or with the LinkError of
    `open_store`."""

    def __init__(self, bus: Bus, clock: Clock, section: HistorySection, open_store: Callable[[], HistoryStore]) -> None:
        self._bus = bus
        self._clock = clock
        self._section = section
        self._open_store = open_store

    async def run(self) -> None:
        with (
            ThreadPoolExecutor(1, "history-writer") as writing,
            ThreadPoolExecutor(_ANSWERING, "history-answers") as answering,
        ):
            store = await _in(writing, self._open_store)
            try:
                await self._serve(store, writing, answering)
            finally:
                answering.shutdown()
                await asyncio.shield(_in(writing, store.close))

    async def _serve(self, store: HistoryStore, writing: ThreadPoolExecutor, answering: ThreadPoolExecutor) -> None:
        notes = Notes(self._bus, self._clock)
        metrics = HistoryMetrics()
        writer = Writer(self._bus, self._clock, store, notes, writing, flush_s=self._section.flush, metrics=metrics)
        async with AsyncExitStack() as stack:
            for name, answer in Questions(store, self._clock, metrics=metrics).answers.items():
                handler = _handler(answer, answering)
                subject = subjects.query("history", name)
                await stack.enter_async_context(self._bus.respond(subject, handler, concurrency=_ANSWERING))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(notes.run())
                tasks.create_task(writer.run())
                tasks.create_task(self._maintain(store, notes, writing))
                tasks.create_task(
                    heartbeat(self._bus, self._clock, role="history", instance="main", boot=uuid.uuid4().hex)
                )

    async def _maintain(self, store: HistoryStore, notes: Notes, writing: ThreadPoolExecutor) -> None:
        """Sum up and tidy every minute; told when it begins to fail and when samples had to go early."""
        report = notes.on_edge("the history cannot be tidied now", "the history is tidied again", severity=3)
        full = False
        while True:
            await self._clock.sleep(MAINTAIN_S)
            try:
                done = await _in(writing, lambda: store.maintain(self._clock.now_ns()))
            except LinkError as error:
                report.failed(error.cause)
                continue
            report.worked()
            if done.early_ns is not None and not full:
                notes.say(
                    f"the history is at {self._section.max_disk_gb:g} GB: raw samples before "
                    f"{format_time(done.early_ns)} were removed, their summaries stay",
                    severity=3,
                )
            full = done.early_ns is not None


def _handler(answer: Callable[[bytes], bytes], threads: ThreadPoolExecutor) -> Handler:
    async def handle(message: Message) -> bytes:
        return await _in(threads, lambda: answer(message.data))

    return handle


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
