"""Plans messages from the saved history of alarms, and stores them in the outbox together with its read position.

It runs in the active engine, and waits until the keeper has saved rows or the next step of a plan is due. A message is
stored before it is sent, in the same transaction as the plan, so an engine that takes over continues from there.

While the database is away it plans from the rows that the keeper could not save. Urgent messages are sent from memory
(`held_outbox.py`) and stored later with the rest. A copy on the bus (`bus_copy.py`) keeps what the next engine must
know of them. An engine that begins without the database uses that copy and the alarms on the bus.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from msgspec.structs import replace

from countingroom.alarms.notify.bus_copy import BusCopy, Copied
from countingroom.alarms.notify.follow_ups import FollowUps, SentMessages
from countingroom.alarms.notify.heard_rows import HeardRows
from countingroom.alarms.notify.held_outbox import HeldOutbox
from countingroom.alarms.notify.planning import MessagePlanning, UnstoredPlan
from countingroom.core.alarms.history import AlarmEntry, SavedAlarm
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError
from countingroom.core.notify.messages import (
    URGENT_PRIORITY,
    Notification,
    NotificationState,
    NotifyCursor,
    OutboxEntry,
)
from countingroom.core.notify.plan import is_unanswered
from countingroom.core.notify.planned import NextMessages
from countingroom.core.notify.routes import NotifySpec
from countingroom.core.notify.rule_message import rule_messages
from countingroom.core.notify.set_back import not_ahead
from countingroom.core.notify.texts import Find, Wording
from countingroom.core.notify.tracks import PlanState
from countingroom.core.retry import Retry, edge_log
from countingroom.core.set_back import SetBackWatch

T = TypeVar("T")
_log = logging.getLogger(__name__)

ROWS = 1_000
"""The most rows of the history that one read gives."""
STORE_S = 5.0
"""The longest time for one call of the database."""
RETRY_S = 1.0
"""The pause between two attempts while the database does not answer."""
TOGETHER_S = 0.1
"""The pause between two rounds of planning, so that the batches of a flood are planned together."""
SHARE = 5.0
LONGEST_TOGETHER_S = 2.0
"""With many alarms the pause is SHARE times as long as the last round took, at most this time."""
LONGEST_S = 60.0
"""The longest wait before due times are checked again. Due times are wall times, and the wall clock may be set."""


class NotifyStore(SentMessages, Protocol):
    """What the notifier needs from the database; implemented by `storage/notifications.py`."""

    def recover(self, writer: int) -> Awaitable[NotifyCursor]: ...
    def news(self, after: int, most: int = ...) -> Awaitable[tuple[AlarmEntry, ...]]: ...
    def put(
        self,
        writer: int,
        messages: Sequence[Notification] = (),
        *,
        sequence: int | None = None,
        changed: Mapping[str, str | None] | None = None,
        held: Sequence[OutboxEntry] = (),
    ) -> Awaitable[None]: ...


class Notifier:
    """Plans messages. `run` works until cancelled, or until another process has taken over (Conflict)."""

    def __init__(
        self,
        spec: NotifySpec,
        words: Wording,
        store: NotifyStore,
        writer: int | None,
        clock: Clock,
        *,
        find: Find,
        present: Iterable[AlarmState],
        stored: Callable[[], None],
        held: HeldOutbox | None = None,
        unsaved: Collection[str] = (),
        copy: BusCopy | None = None,
        shifts: Mapping[str, int] | None = None,
    ) -> None:
        """`writer`: the number from `Alarms.take_over`; None: the database did not answer. `present`: the alarms that
        are not at rest. `unsaved`: those of them whose saved state is out of date; the last engine may have sent
        messages about them. `stored`: called when messages were stored. `held`: the outbox in memory. `copy`: the copy
        for the next engine. `shifts`: alarm -> number to add to occurrences that the last engine counted."""
        self._spec = spec
        self._words = words
        self._store = store
        self._writer = writer
        self._clock = clock
        self._stored = stored
        self._held = held or HeldOutbox(clock, offered=_nothing, ended=_nothing)
        self._present = {state.id: state for state in present}
        perhaps_told = {id: state.announced_ns for id, state in self._present.items() if id in unsaved}
        self._planning = MessagePlanning(spec, words, find, perhaps_told, SetBackWatch(clock))
        self._waiting = UnstoredPlan()
        self._copy = copy
        self._shifts = shifts or {}
        self._is_blind = False
        """The database has not answered since this engine began."""
        self._has_looked = False
        """Whether alarms without history rows were searched for."""
        self._heard = HeardRows()
        self._news = asyncio.Event()
        self._changed: set[str] = set()
        """Alarms whose state was saved since the last round."""
        self._last: NextMessages | None = None
        self._state = PlanState()
        self._sequence = 0
        self._report = edge_log(
            _log, "alarms: messages to people cannot be planned", "alarms: messages to people are planned again"
        )
        self._unreached: set[str] = set()
        self._follow_ups = FollowUps(store, spec.directory, self._attempt)

    def saved(self, changed: Iterable[SavedAlarm], rows: Iterable[AlarmEntry] = ()) -> None:
        """Take in states and history rows that the keeper has saved."""
        self._take(changed)
        self._heard.saved(rows)

    def unsaved(self, changed: Iterable[SavedAlarm], rows: Iterable[AlarmEntry]) -> None:
        """Take in states and history rows that the keeper could not save, and saves later."""
        self._take(changed)
        self._heard.unsaved(rows)

    def _take(self, changed: Iterable[SavedAlarm]) -> None:
        for one in changed:
            if one.state is None:
                self._present.pop(one.id, None)
            else:
                self._present[one.id] = one.state
            self._changed.add(one.id)
        self._news.set()

    def wake(self) -> None:
        """Take in that a message of the outbox in memory has ended."""
        self._news.set()

    def troubles(self) -> list[str]:
        """Why messages about alarms are not sent, one sentence each."""
        if not self._report.is_failing:
            return []
        if self._is_blind:
            return [
                "the database has not answered since this alarm process began: people are told of alarms of priority 1"
                " and 2, of some perhaps once more, and other messages wait"
            ]
        return ["messages to people wait for the database, but for those about alarms of priority 1 and 2"]

    def warnings(self) -> list[str]:
        """Gaps in the description, one sentence each: routes without a person on duty."""
        return [f"route {name} had a message, and no person is on duty to get it" for name in sorted(self._unreached)]

    def still_wanted(self, message: Notification) -> bool:
        """Whether a message must still be sent. A message that asks for an acknowledgement is not sent if all its
        alarms are acknowledged, over, or have a flag."""
        # An alarm that became a consequence after the message was planned still counts. The plan says that its message
        # was sent, so no other message would come when its cause is over.
        if not message.kind.asks_for_acknowledgement:
            return True
        return any(
            (state := self._present.get(alarm)) is not None and state.occurrence == occurrence and is_unanswered(state)
            for alarm, occurrence in message.alarms
        )

    async def run(self) -> None:
        """Plan, until cancelled."""
        await self._begin()
        while True:
            self._news.clear()
            began_s = self._clock.monotonic()
            if self._report.is_failing:  # a database that hangs must not delay what is urgent
                await self._plan_heard()
            try:
                rows, is_whole = await self._read()
                await self._plan(rows, last=self._last)
                if is_whole and (not self._has_looked or self._heard.has_lost):
                    self._has_looked = True
                    self._heard.has_lost = False
                    await self._plan(await self._missed(), last=None)
                await self._store_waiting()
            except LinkError:
                await self._plan_heard()
            else:
                self._report.worked()
                if not is_whole:
                    continue
            await self._wait(self._clock.monotonic() - began_s)

    async def _begin(self) -> None:
        """Load what the last engine left in the database and on the bus."""
        copied = Copied()
        if self._copy:
            read = partial(self._copy.read, self._shifts)
            report = edge_log(_log, "alarms: the copy of messages is not read", "alarms: it is read again")
            copied = await Retry(self._clock, report, pause_s=RETRY_S).run(read)
        self._state = not_ahead(self._spec, PlanState(tracks=copied.tracks), self._clock.now_ns())
        try:
            cursor, pending = await self._attempt(partial(self._recover, copied))
        except LinkError:
            cursor, pending = await self._without_database(copied)
        self._sequence = cursor.sequence
        now_ns = self._clock.now_ns()
        self._state, self._waiting = await self._planning.rejoined(cursor.plan, self._state, self._waiting, now_ns)
        self._planning.known(self._state.tracks.values())
        self._last = None
        known = self._spec.directory.channels
        self._held.keep(entry.notification for entry in pending if entry.notification.channel in known)
        if self._copy:
            waiting = {entry.notification.id for entry in pending}
            for entry in copied.messages:
                if (id := entry.notification.id) not in waiting and not self._held.has(id):
                    self._copy.ended(id)
            await self._copy.planned(self._state.tracks, ())
            self._copy.forget(copied.tracks.keys() - self._state.tracks.keys())
        self._stored()  # the last engine may have left messages that were not sent

    async def _recover(self, copied: Copied) -> tuple[NotifyCursor, tuple[OutboxEntry, ...]]:
        """The read position of the last engine, and its messages that may still be sent."""
        writer = self._known_writer()
        cursor = await self._store.recover(writer)
        if copied.messages:
            tried = [entry for entry in copied.messages if _is_tried(entry)]
            new = [entry.notification for entry in copied.messages if not _is_tried(entry)]
            await self._store.put(writer, new, held=tried)
            # Again: the messages that the last engine tried from memory become due, with the mark of a repeat.
            await self._store.recover(writer)
        return cursor, await self._store.pending()

    async def _without_database(self, copied: Copied) -> tuple[NotifyCursor, tuple[OutboxEntry, ...]]:
        """Send urgent messages until the database answers, then return as `_recover`. The copy on the bus has the
        messages of the last engine; a message that it may have sent is marked as a possible repeat."""
        self._is_blind = True
        self._planning.perhaps_told({state.id: state.announced_ns for state in self._present.values()})
        self._planning.known(copied.tracks.values())
        now_ns = self._clock.now_ns()
        self._held.offer(
            replace(entry.notification, is_repeat=True, due_ns=now_ns)
            for entry in copied.messages
            if entry.state.is_pending and entry.notification.channel in self._spec.directory.channels
        )
        recovering = asyncio.ensure_future(self._with_database(partial(self._recover, copied)))
        recovering.add_done_callback(lambda _: self._news.set())
        try:
            await self._plan([row for row in await self._missed() if row.priority <= URGENT_PRIORITY], last=None)
            while not recovering.done():
                self._news.clear()
                began_s = self._clock.monotonic()
                await self._plan_heard()
                if not recovering.done():
                    await self._wait(self._clock.monotonic() - began_s)
            return recovering.result()
        finally:
            recovering.cancel()
            self._is_blind = False

    async def _missed(self) -> list[AlarmEntry]:
        return await self._planning.missed(self._state, self._present, self._clock.now_ns())

    async def tell(self, to: Sequence[str], title: str, text: str, principal: str, *, id: str) -> int:
        """Send a message to channels, persons and calendars; returns the number of channels. Calls with the same `id`
        send it once. NotFound for an unknown name or if no person is on duty, LinkError if it cannot be stored."""
        named = f"[{self._words.experiment}] {title}"
        now_ns = self._clock.now_ns()
        messages = rule_messages(self._spec.directory, to, named, text, principal, id=id, now_ns=now_ns)
        await self._within(lambda: self._store.put(self._known_writer(), messages))
        self._stored()
        return len(messages)

    async def _read(self) -> tuple[list[AlarmEntry], bool]:
        """The rows without a plan, and whether the database has no further ones. LinkError if it does not answer."""
        heard = self._heard.keys()
        rows = await self._attempt(partial(self._store.news, self._sequence, ROWS))
        is_whole = len(rows) < ROWS
        found = self._heard.read(rows, heard, is_whole=is_whole)
        if rows:
            self._sequence = rows[-1].sequence
            self._waiting = self._waiting.then(UnstoredPlan(sequence=self._sequence, is_read=True))
        return found, is_whole

    async def _plan_heard(self) -> None:
        """Without the database: plan from the rows that the keeper reported, and send urgent messages from memory."""
        await self._plan(self._heard.take(), last=self._last)
        self._held.send_kept()

    async def _plan(self, rows: Sequence[AlarmEntry], *, last: NextMessages | None) -> None:
        changed, self._changed = self._changed, set()
        now_ns = self._clock.now_ns()
        found, waiting = await self._planning.next(
            self._state, rows, self._present, now_ns, last=last, changed=tuple(changed)
        )
        for name in found.unreached:
            _log.warning("alarms: route %s has a message, and no person is on duty to get it", name)
        self._unreached |= set(found.unreached)
        self._unreached -= {message.route for message in found.messages}
        self._last = found
        self._state = found.state
        self._waiting = self._waiting.then(waiting)
        # First the messages, then the tracks: a track says that its messages exist, so the order must not be reversed.
        self._held.keep(waiting.messages)
        if self._copy:
            await self._copy.planned(found.changed.tracks, found.messages)

    async def _store_waiting(self) -> None:
        """Store the plan and the results of messages that were sent from memory. LinkError if the database does not
        answer. Then the same plan is stored again, because a new plan could give other messages for the same alarms."""
        if held := self._held.unstored():  # first, because follow-ups search for these messages
            await self._attempt(lambda: self._store.put(self._known_writer(), held=held))
            self._held.stored(held)
        waiting = self._waiting
        if not waiting:
            return
        really = await self._follow_ups.really(waiting.follow_ups) if waiting.follow_ups else ()
        follow_ups = await self._planning.worded(really, self._present)
        here = [one for one in waiting.messages if not self._held.has(one.id)]
        sequence = waiting.sequence if waiting.is_read else None
        put = partial(self._store.put, sequence=sequence, changed=waiting.changed)
        await self._attempt(lambda: put(self._known_writer(), [*here, *follow_ups]))
        self._waiting = UnstoredPlan()
        if self._copy:
            self._copy.stored()
        if here or follow_ups:
            self._stored()

    async def _wait(self, took_s: float) -> None:
        """Wait for saved rows or the time of the next step. `took_s`: how long the last round took."""
        next_ns = self._last.next_ns if self._last else None
        await self._clock.sleep(min(LONGEST_TOGETHER_S, max(TOGETHER_S, SHARE * took_s)))
        longest_s = RETRY_S if self._report.is_failing else LONGEST_S
        wait_s = longest_s if next_ns is None else min(longest_s, (next_ns - self._clock.now_ns()) / 1e9)
        if wait_s > 0:
            try:
                async with within(self._clock, wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _with_database(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call, repeated until the database answers. Conflict if another process has taken over."""

        return await Retry(self._clock, self._report, pause_s=RETRY_S).run(partial(self._within, call))

    async def _attempt(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call. LinkError if the database does not answer; the failure is reported. Only `run` reports
        that it works again, after a write: with a full disk reads work and writes do not."""
        try:
            return await self._within(call)
        except LinkError as error:
            self._report.failed(error.cause)
            raise

    async def _within(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            async with within(self._clock, STORE_S):
                return await call()
        except TimeoutError as error:
            raise _no_answer(f"the database did not answer within {STORE_S:g} s") from error

    def _known_writer(self) -> int:
        if self._writer is None:
            raise _no_answer("the database has not answered since this alarm process began")
        return self._writer


def _no_answer(text: str) -> LinkError:
    return LinkError(text, source="alarms.notify", code="no_answer", suggestion="look at the database and its disk")


def _is_tried(entry: OutboxEntry) -> bool:
    """Whether it was sent, or may have been sent, without the database."""
    return entry.state is not NotificationState.DUE or entry.notification.attempt > 0


def _nothing() -> None:
    """Used without an outbox in memory."""
