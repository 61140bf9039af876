"""Saves the changes of the book in the database, then publishes them on the bus, batch by batch.

A change is saved before it is published, so an engine that takes over never announces an occurrence twice. While the
database does not answer, alarms are published all the same and saved later. Commands are refused during that time,
because their changes would not outlive a kill of the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from countingroom.alarms.engine.book import AlarmBook, BookChanges
from countingroom.alarms.engine.counts import EngineCounts
from countingroom.alarms.engine.finding import Found
from countingroom.alarms.engine.records import event_of
from countingroom.alarms.engine.saved import EngineAlarm
from countingroom.alarms.engine.turn import DueEvents, turn
from countingroom.alarms.engine.waiting_findings import WaitingFindings
from countingroom.alarms.saving import save_within
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.alarms.events import AlarmEvent
from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter, SavedAlarm
from countingroom.core.alarms.states import LOWEST_PRIORITY, AlarmState
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.retry import edge_log
from countingroom.core.set_back import SetBackWatch

_log = logging.getLogger(__name__)

SAVE_S = 2.0
"""The longest time that a batch waits for the database."""
AGAIN_S = 1.0
"""The pause between two attempts to save after a failure."""
AT_ONCE = 500
"""The size of a batch of findings. In a flood the most urgent waiting findings make the next batch, and a command waits
for one batch only."""
ROOM_S = 2.0
"""The longest time that a batch waits until the bus has taken the one before. Without the wait a flood would overrun
the queue of the publisher, and events would be lost."""
REFRESH_S = 1.0
"""The shortest time between two publications of new values of active alarms."""
REFRESHED = 500
"""The most alarms whose new values are published together."""
LONGEST_S = 60.0
"""The longest wait before due times are checked again. Shelves end at wall times, and the wall clock may be set."""
ROWS = 20_000
"""The most rows of the history that wait for the database; beyond it the oldest are dropped."""


AfterSave = Callable[[Sequence[SavedAlarm], Sequence[AlarmEntry]], None]
"""Called with states and with the rows of the history about them."""


class AlarmStore(Protocol):
    """What the engine needs from the database; implemented by `storage/alarms.py`."""

    def take_over(self, name: str) -> Awaitable[int]: ...
    def load(self) -> Awaitable[tuple[SavedAlarm, ...]]: ...
    def save(
        self,
        writer: int,
        changed: Sequence[SavedAlarm] = (),
        entries: Sequence[AlarmEntry] = (),
        *,
        synced: bool = ...,
    ) -> Awaitable[None]: ...
    def history(self, wanted: AlarmHistoryFilter) -> Awaitable[tuple[AlarmEntry, ...]]: ...
    def occurrences(self, of: str, since_ns: int) -> Awaitable[int]: ...
    def discard(self, before_ns: int, most: int = ...) -> Awaitable[int]: ...


class AlarmKeeper:
    """Makes all changes of the book, one at a time, and saves and publishes them."""

    def __init__(
        self,
        book: AlarmBook,
        store: AlarmStore,
        writer: int | None,
        publisher: Publisher,
        clock: Clock,
        *,
        after_save: AfterSave | None = None,
        after_failure: AfterSave | None = None,
        pause_s: float = 0.0,
    ) -> None:
        """`writer`: the number from `AlarmStore.take_over`; None: the database did not answer. `after_save` is called
        with states and history rows that were saved, `after_failure` with those that are saved later because the
        database did not answer. `pause_s`: without a writer, the database is asked after this time."""
        self._book = book
        self._store = store
        self._writer = writer
        self._is_back = False
        """The database answers now; it did not answer when this engine began."""
        self._publisher = publisher
        self._clock = clock
        self._after_save = after_save or _ignore
        self._after_failure = after_failure or _ignore
        self.counts = EngineCounts()
        self._waiting = WaitingFindings(book.urgency)
        self._found_s = 0.0
        """Monotonic time at which the first waiting finding came."""
        self._due_events: DueEvents | None = None
        self._news = asyncio.Event()
        self._watch = SetBackWatch(clock)
        self._turn = asyncio.Lock()
        self._refreshed: dict[str, EngineAlarm] = {}
        self._refreshed_s = float("-inf")
        self._unsaved: dict[str, EngineAlarm] = {}
        self._rows: deque[AlarmEntry] = deque(maxlen=ROWS)
        self._saved = edge_log(
            _log, "alarms: the database does not take their states", "alarms: the database takes their states again"
        )
        self._next_save_s = float("-inf")
        if writer is None:
            self._next_save_s = clock.monotonic() + pause_s
            self._saved.failed(_never_answered().cause)

    def troubles(self) -> list[str]:
        """Why the department is not ready, one sentence each."""
        return ["the database does not take the states of alarms"] if self._saved.is_failing else []

    @property
    def unsaved(self) -> int:
        """Rows of the history that wait for the database."""
        return len(self._rows)

    def find(self, found: Iterable[Found]) -> None:
        """Queue findings; `run` handles them, the most urgent first."""
        was_waiting = bool(self._waiting)
        if self._waiting.add(found):
            if not was_waiting:
                self._found_s = self._clock.monotonic()
            self._news.set()

    def give(self, events: DueEvents) -> None:
        """Look up definitions again and give events to alarms, after the findings that wait now. If it is called
        several times before that, only the last call counts."""
        self._due_events = events
        self._news.set()

    @property
    def unsaved_rows(self) -> tuple[AlarmEntry, ...]:
        """The rows of the history that are not saved yet."""
        return tuple(self._rows)

    def save_soon(self, changed: Mapping[str, EngineAlarm], rows: Iterable[AlarmEntry]) -> None:
        """Queue changes to be saved that an earlier engine, or this one without the database, could not save."""
        self._unsaved |= changed
        self._rows.extend(rows)

    async def run(self) -> None:
        """Until cancelled, or until another process has taken over (Conflict). Without a writer: until the database
        answers."""
        while not self._is_back:
            await self._wait()
            await self._work()
            while self._waiting:
                with suppress(TimeoutError):
                    async with within(self._clock, ROOM_S):
                        await self._publisher.room(AT_ONCE)
                await self._work()

    async def _work(self) -> None:
        """Handle one batch."""
        async with self._turn:
            found_s = self._found_s
            found = self._waiting.take(AT_ONCE)
            events = None
            if not self._waiting:
                events, self._due_events = self._due_events, None
            if by_ns := self._watch.by_ns():
                await self._carry(self._book.set_back(by_ns, self._clock.now_ns()))
            for changes in turn(self._book, found, events, self._clock.now_ns()):
                await self._carry(changes)
            if found:
                self.counts.delay(self._clock.monotonic() - found_s)
            await self._save_again()
            self._refresh()

    async def command(self, events: Callable[[AlarmBook, int], Mapping[str, AlarmEvent]], *, by: str) -> BookChanges:
        """Give an event to each alarm; the changes are saved and published when this returns. `events`: called with the
        present book and the time. LinkError if the database does not answer; the alarms are then unchanged."""
        async with self._turn:
            if self._saved.is_failing:
                await self._save_again(now=True)
            now_ns = self._clock.now_ns()
            given = events(self._book, now_ns)
            before = self._book.snapshot(given)
            changes = self._book.command(given, now_ns, by=by)
            states = _states(changes)
            try:
                await self._save(changes.saved, changes.history, states)
            except CountingRoomError:
                self._book.undo(before)
                raise
            self._publish(changes, states)
            self._news.set()  # a new shelf may end earlier than the time until which `run` waits
            return changes

    async def _wait(self) -> None:
        """Wait for findings, or until a due time, a refresh or a save is due."""
        due_ns = self._book.next_due_ns()
        wait_s = LONGEST_S if due_ns is None else min(LONGEST_S, (due_ns - self._clock.now_ns()) / 1e9)
        if self._refreshed:
            wait_s = min(wait_s, self._refreshed_s + REFRESH_S - self._clock.monotonic())
        if self._unsaved or self._rows or self._writer is None:
            wait_s = min(wait_s, self._next_save_s - self._clock.monotonic())
        if wait_s > 0:
            try:
                async with within(self._clock, wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        self._news.clear()

    async def _carry(self, changes: BookChanges) -> None:
        if not changes:
            return
        self._refreshed |= changes.refreshed
        states = _states(changes)
        if changes.saved or changes.history:
            if self._saved.is_failing:  # a database that hangs must not delay each batch by SAVE_S
                self._keep(changes, states)
            else:
                try:
                    await self._save(changes.saved, changes.history, states, synced=False)
                except LinkError:
                    self._keep(changes, states)
                    self._next_save_s = self._clock.monotonic() + AGAIN_S
        self._publish(changes, states)

    def _keep(self, changes: BookChanges, states: Mapping[str, AlarmState | None]) -> None:
        """Queue changes to be saved later."""
        self._unsaved |= changes.saved
        self._rows.extend(changes.history)
        self._after_failure([one.saved(states.get(id)) for id, one in changes.saved.items()], changes.history)

    async def _save_again(self, *, now: bool = False) -> None:
        nothing = not (self._unsaved or self._rows) and self._writer is not None
        if nothing or (not now and self._clock.monotonic() < self._next_save_s):
            return
        self._next_save_s = self._clock.monotonic() + AGAIN_S
        if self._writer is None:
            # The book does not know the saved alarms, so it must not write. Once a read works, `run` ends and the
            # service takes over again, with the saved alarms.
            with suppress(LinkError, TimeoutError):
                async with within(self._clock, SAVE_S):
                    await self._store.occurrences("", self._clock.now_ns())
                self._is_back = True
                self._news.set()
            return
        try:
            await self._save(self._unsaved, tuple(self._rows), {})
        except LinkError:
            return
        self._unsaved = {}
        self._rows.clear()

    async def _save(
        self,
        changed: Mapping[str, EngineAlarm],
        rows: Sequence[AlarmEntry],
        states: Mapping[str, AlarmState | None],
        *,
        synced: bool = True,
    ) -> None:
        """LinkError if the database does not answer in time, Conflict if another process has taken over.

        `synced=False`: return before the data are on the disk. They outlive a kill of this process, and the store syncs
        them right after. So the trip of an interlock that comes next does not wait for the disk."""
        if not (changed or rows):
            return
        if self._writer is None:
            raise _never_answered()
        saved = [one.saved(states.get(id)) for id, one in changed.items()]
        saving = self._store.save(self._writer, saved, rows, synced=synced)
        await save_within(self._clock, SAVE_S, self._saved, saving)
        self._after_save(saved, rows)

    def _publish(self, changes: BookChanges, states: Mapping[str, AlarmState | None]) -> None:
        # The most urgent first: a batch can be a whole device with a thousand alarms.
        for id, state in sorted(states.items(), key=lambda item: item[1].priority if item[1] else LOWEST_PRIORITY):
            self._refreshed.pop(id, None)
            self._publish_one(id, state)
        self.counts.take(changes.history, self._clock.monotonic())
        for row in changes.history:
            self._publisher.event(event_of(row))

    def _publish_one(self, id: str, state: AlarmState | None) -> None:
        key = subjects.alarm_key(id)
        if state is None:
            self._publisher.delete(key)
        else:
            self._publisher.state(key, state)

    def _refresh(self) -> None:
        if not self._refreshed or self._clock.monotonic() < self._refreshed_s + REFRESH_S:
            return
        self._refreshed_s = self._clock.monotonic()
        for id in list(self._refreshed)[:REFRESHED]:
            self._publish_one(id, _state(self._refreshed.pop(id)))


def _ignore(_: Sequence[SavedAlarm], __: Sequence[AlarmEntry]) -> None:
    """Used if no caller wants to know of saves."""


def _never_answered() -> LinkError:
    return LinkError(
        "the database has not answered since this engine began",
        source="alarms",
        code="no_answer",
        suggestion="look at the database and its disk, then send the command again",
    )


def _states(changes: BookChanges) -> dict[str, AlarmState | None]:
    """The states to be published; made once, because they are saved as well. None: at rest, the key is deleted."""
    return {id: _state(entry) for id, entry in changes.published.items()}


def _state(entry: EngineAlarm) -> AlarmState | None:
    return None if entry.record.is_at_rest else entry.published()
