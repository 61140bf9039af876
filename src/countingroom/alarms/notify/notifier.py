"""Plans messages from the saved history of alarms, and stores them in the outbox together with how far it has read.

It runs beside the keeper in the active engine. The keeper tells it what it saved; it waits for that and for the time of
the next step. A message is stored before it is sent, and what was planned is stored in the same transaction: an engine
that takes over goes on from there.

While the database is away it plans from what the keeper could not save. Urgent messages are sent from memory
(`held_outbox.py`) and stored, with all else, when the database answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from countingroom.alarms.notify.follow_ups import FollowUps, SentMessages
from countingroom.alarms.notify.held_outbox import HeldOutbox
from countingroom.alarms.notify.planning import MessagePlanning, UnstoredPlan
from countingroom.core.alarms.history import AlarmEntry, SavedAlarm
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.notify.messages import (
    Notification,
    NotificationKind,
    NotifyCursor,
    OutboxEntry,
    notification_id,
)
from countingroom.core.notify.plan import is_unanswered
from countingroom.core.notify.planned import NextMessages
from countingroom.core.notify.routes import NotifySpec
from countingroom.core.notify.texts import EXPIRES_NS, Find, Wording
from countingroom.core.notify.tracks import PlanState
from countingroom.core.retry import Retry, edge_log
from countingroom.core.yaml.validation_errors import did_you_mean

T = TypeVar("T")
_log = logging.getLogger(__name__)

ROWS = 1_000
"""Rows of the history that are read at once."""
STORE_S = 5.0
"""The most that a call of the database may take."""
RETRY_S = 1.0
"""Between two attempts while the database does not answer."""
TOGETHER_S = 0.1
"""Between two looks, so that the batches of a flood are planned together."""
SHARE = 5.0
LONGEST_TOGETHER_S = 2.0
"""With many alarms it pauses so many times as long as the last look took, at most so long."""
HEARD = 20_000
"""Rows of the history that are remembered until they are read; the oldest are forgotten."""
LONGEST_S = 60.0
"""The time is looked at again after so long, because the wall clock may be set."""


RowKey = tuple[int, str, str, int]
"""What makes a row of the history another one, before it has a number."""


class NotifyStore(SentMessages, Protocol):
    """What the notifier needs of the database; `storage/notifications.py` is it."""

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
    """`run` until cancelled, or until another process has taken over (Conflict)."""

    def __init__(
        self,
        spec: NotifySpec,
        words: Wording,
        store: NotifyStore,
        writer: int,
        clock: Clock,
        *,
        find: Find,
        present: Iterable[AlarmState],
        stored: Callable[[], None],
        held: HeldOutbox | None = None,
        unsaved: Collection[str] = (),
    ) -> None:
        """`writer`: the number from `Alarms.take_over`. `present`: the alarms that are not at rest, and `unsaved` those
        of them that are saved otherwise than they are: an engine that could not save them may have told of them.
        `stored` is called when messages were stored. `held` takes what is sent while the database is away."""
        self._spec = spec
        self._words = words
        self._store = store
        self._writer = writer
        self._clock = clock
        self._stored = stored
        self._held = held or HeldOutbox(clock, offered=_nothing, ended=_nothing)
        self._present = {state.id: state for state in present}
        perhaps_told = {id: state.announced_ns for id, state in self._present.items() if id in unsaved}
        self._planning = MessagePlanning(spec, words, find, perhaps_told)
        self._waiting = UnstoredPlan()
        self._urgent: dict[str, Notification] = {}
        """Urgent messages that no worker has."""
        self._heard: dict[RowKey, AlarmEntry] = {}
        """Rows that the keeper told of, and that were not read yet."""
        self._unsaved: set[RowKey] = set()
        """Those of them that the keeper could not save."""
        self._taken: dict[RowKey, None] = {}
        """Rows that were planned before they were read."""
        self._news = asyncio.Event()
        self._changed: set[str] = set()
        """Alarms whose state was saved since the last look."""
        self._last: NextMessages | None = None
        self._state = PlanState()
        self._sequence = 0
        self._report = edge_log(
            _log, "alarms: messages to people cannot be planned", "alarms: messages to people are planned again"
        )
        self._unreached: set[str] = set()
        self._follow_ups = FollowUps(store, spec.directory, self._attempt)

    def saved(self, changed: Iterable[SavedAlarm], rows: Iterable[AlarmEntry] = ()) -> None:
        """The keeper has saved these states and the rows that tell of them."""
        self._take(changed)
        for row in rows:
            if _key(row) not in self._taken:
                self._heard[_key(row)] = row
                self._unsaved.discard(_key(row))
        while len(self._heard) > HEARD:
            del self._heard[next(iter(self._heard))]

    def unsaved(self, changed: Iterable[SavedAlarm], rows: Iterable[AlarmEntry]) -> None:
        """The keeper could not save these states and rows, and saves them later."""
        self._take(changed)
        for row in rows:
            self._heard[_key(row)] = row
            self._unsaved.add(_key(row))

    def _take(self, changed: Iterable[SavedAlarm]) -> None:
        for one in changed:
            if one.state is None:
                self._present.pop(one.id, None)
            else:
                self._present[one.id] = one.state
            self._changed.add(one.id)
        self._news.set()

    def wake(self) -> None:
        """A message that was sent without the database has ended."""
        self._news.set()

    def troubles(self) -> list[str]:
        """Why people are not told of alarms, one sentence each."""
        if not self._report.is_failing:
            return []
        return ["messages to people wait for the database, but for those about alarms of priority 1 and 2"]

    def warnings(self) -> list[str]:
        """What the description should provide for, one sentence each."""
        return [f"route {name} had a message, and no person is on duty to get it" for name in sorted(self._unreached)]

    def still_wanted(self, message: Notification) -> bool:
        """Whether a message has a use now: one that asks for an acknowledgement has none when all its alarms are
        acknowledged, over, or have a flag."""
        # One that became a consequence after the message was planned is told all the same: it counts as told, and is
        # not announced again when its cause is over.
        if not message.kind.asks_for_acknowledgement:
            return True
        return any(
            (state := self._present.get(alarm)) is not None and state.occurrence == occurrence and is_unanswered(state)
            for alarm, occurrence in message.alarms
        )

    async def run(self) -> None:
        """Plan, until cancelled."""
        cursor = await self._with_database(partial(self._store.recover, self._writer))
        self._sequence = cursor.sequence
        self._state = await self._planning.restored(cursor.plan)
        pending = await self._with_database(self._store.pending)
        self._keep_urgent(entry.notification for entry in pending)
        self._stored()  # those of the last engine that were not sent
        has_begun = False
        while True:
            self._news.clear()
            began_s = self._clock.monotonic()
            if self._report.is_failing:  # a database that hangs must not delay what is urgent
                await self._plan_heard()
            try:
                rows, is_whole = await self._read()
                await self._plan(rows, last=self._last)
                if is_whole and not has_begun:
                    has_begun = True
                    await self._plan(await self._planning.missed(self._state, self._present), last=None)
                await self._store_waiting()
            except LinkError:
                await self._plan_heard()
            else:
                self._report.worked()
                if not is_whole:
                    continue
            await self._wait(self._clock.monotonic() - began_s)

    async def tell(self, to: Sequence[str], title: str, text: str, principal: str, *, id: str) -> int:
        """Send a message to channels, persons and calendars, and return to how many channels. The same `id` sends it
        once. NotFound for an unknown name, or where no person is on duty; LinkError where it could not be stored."""
        directory = self._spec.directory
        known = [*directory.channels, *directory.people, *directory.calendars]
        for name in to:
            if name not in known:
                raise NotFound(
                    f"there is no channel, person or calendar {name}{did_you_mean(name, known)}",
                    source="alarms.notify",
                    suggestion="name one of alarms.notify",
                )
        now_ns = self._clock.now_ns()
        recipients = directory.recipients(to, now_ns)
        if not recipients:
            raise NotFound(
                f"no person is on duty: {', '.join(to)}", source="alarms.notify", suggestion="look at the calendar"
            )
        messages = [
            Notification(
                id=notification_id(NotificationKind.RULE.value, id, one.channel),
                channel=one.channel,
                kind=NotificationKind.RULE,
                title=" ".join(f"[{self._words.experiment}] {title}".split()),
                text=f"{text.strip()}\n\nSent by {principal}.\n",
                person=one.person,
                created_ns=now_ns,
                due_ns=now_ns,
                expires_ns=now_ns + EXPIRES_NS,
            )
            for one in recipients
        ]
        try:
            async with within(self._clock, STORE_S):
                await self._store.put(self._writer, messages)
        except TimeoutError as error:
            raise LinkError(
                f"the database did not answer within {STORE_S:g} s",
                source="alarms.notify",
                code="timeout",
                suggestion="look at the database and its disk",
            ) from error
        self._stored()
        return len(messages)

    async def _read(self) -> tuple[list[AlarmEntry], bool]:
        """The rows that were not planned yet, and whether they are all that the database has. LinkError."""
        heard = self._heard.copy()
        rows = await self._attempt(partial(self._store.news, self._sequence, ROWS))
        found = [row for row in rows if _key(row) not in self._taken]
        for key in map(_key, rows):
            self._heard.pop(key, None)
            self._taken.pop(key, None)
            self._unsaved.discard(key)
        is_whole = len(rows) < ROWS
        if is_whole:  # what was saved before is read, so that the rest of it is not saved
            found += self._take_heard(key for key in heard if key in self._unsaved)
            for key in heard:
                self._heard.pop(key, None)
        if rows:
            self._sequence = rows[-1].sequence
            self._waiting = self._waiting.then(UnstoredPlan(sequence=self._sequence, is_read=True))
        return found, is_whole

    def _take_heard(self, keys: Iterable[RowKey]) -> list[AlarmEntry]:
        """Rows that are planned before they are read."""
        found: list[AlarmEntry] = []
        for key in list(keys):
            if (row := self._heard.pop(key, None)) is not None:
                found.append(row)
                self._taken[key] = None
                self._unsaved.discard(key)
        while len(self._taken) > 2 * HEARD:
            del self._taken[next(iter(self._taken))]
        return found

    async def _plan_heard(self) -> None:
        """Without the database: plan what the keeper told, and send what is urgent from memory."""
        await self._plan(self._take_heard(self._heard), last=self._last)
        self._keep_urgent(self._waiting.messages)
        self._held.offer(self._urgent.values())

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

    async def _store_waiting(self) -> None:
        """Store what was planned and what was sent from memory. LinkError; then the same is stored again until it is
        known to be: planned anew it could be other messages about the same alarms."""
        if held := self._held.unstored():  # first: follow-ups look at it
            await self._attempt(partial(self._store.put, self._writer, held=held))
            self._held.stored(held)
        waiting = self._waiting
        if not waiting:
            return
        really = await self._follow_ups.really(waiting.follow_ups) if waiting.follow_ups else ()
        follow_ups = await self._planning.worded(really, self._present)
        here = [one for one in waiting.messages if not self._held.has(one.id)]
        sequence = waiting.sequence if waiting.is_read else None
        put = partial(self._store.put, sequence=sequence, changed=waiting.changed)
        await self._attempt(lambda: put(self._writer, [*here, *follow_ups]))
        self._waiting = UnstoredPlan()
        self._keep_urgent(here)
        if here or follow_ups:
            self._stored()

    def _keep_urgent(self, messages: Iterable[Notification]) -> None:
        """Remember urgent messages until a worker has them: the database may be away before."""
        known = self._urgent
        self._urgent = {id: one for id, one in known.items() if not self._held.is_done(id)}
        self._urgent |= {one.id: one for one in messages if one.is_urgent}

    async def _wait(self, took_s: float) -> None:
        """Until something was saved, or the time of the next step. `took_s`: of the last look."""
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
        """The result of the call, which is repeated until the database answers. Conflict where another process has
        taken over."""

        return await Retry(self._clock, self._report, pause_s=RETRY_S).run(partial(self._within, call))

    async def _attempt(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of the call. LinkError, and it is reported, where the database does not answer. That it works is
        reported by `run`: one with a full disk can be read and not written."""
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
            raise LinkError(f"the database did not answer within {STORE_S:g} s", source="alarms") from error


def _nothing() -> None:
    """No worker sends what is held."""


def _key(row: AlarmEntry) -> RowKey:
    return row.time_ns, row.alarm, row.kind.value, row.occurrence
