"""Plans messages from the saved history of alarms, and stores them in the outbox together with how far it has read.

It runs beside the keeper in the active engine. The keeper tells it what it saved; it waits for that and for the time of
the next step. A message is stored before it is sent, and what was planned is stored in the same transaction: an engine
that takes over goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from countingroom.alarms.notify.follow_ups import FollowUps, SentMessages
from countingroom.core.alarms.history import AlarmEntry, SavedAlarm
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.notify.messages import (
    Notification,
    NotificationKind,
    NotifyCursor,
    notification_id,
)
from countingroom.core.notify.plan import is_unanswered, missed, plan
from countingroom.core.notify.planned import NextMessages
from countingroom.core.notify.routes import NotifySpec
from countingroom.core.notify.texts import EXPIRES_NS, Find, Wording, compose
from countingroom.core.notify.tracks import PlanState, restored, saved
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
LONGEST_S = 60.0
"""The time is looked at again after so long, because the wall clock may be set."""


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
    ) -> None:
        """`writer`: the number from `Alarms.take_over`. `present`: the saved alarms that are not at rest. `stored` is
        called when messages were stored."""
        self._spec = spec
        self._words = words
        self._store = store
        self._writer = writer
        self._clock = clock
        self._find = find
        self._stored = stored
        self._present = {state.id: state for state in present}
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
        self._follow_ups = FollowUps(store, spec.directory, self._with_database)

    def saved(self, changed: Iterable[SavedAlarm]) -> None:
        """The keeper has saved these states and the rows that tell of them."""
        for one in changed:
            if one.state is None:
                self._present.pop(one.id, None)
            else:
                self._present[one.id] = one.state
            self._changed.add(one.id)
        self._news.set()

    def troubles(self) -> list[str]:
        """Why people are not told of alarms, one sentence each."""
        return ["messages to people cannot be planned"] if self._report.is_failing else []

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
        self._state = restored(cursor.plan.items())
        self._stored()  # those of the last engine that were not sent
        has_begun = False
        while True:
            self._news.clear()
            rows = await self._with_database(partial(self._store.news, self._sequence, ROWS))
            began_s = self._clock.monotonic()
            changed = self._changed
            self._changed = set()
            now_ns = self._clock.now_ns()
            found = plan(self._spec, self._state, rows, self._present, now_ns, last=self._last, changed=changed)
            self._last = found
            await self._keep(found, rows)
            if len(rows) >= ROWS:
                continue
            if not has_begun:
                has_begun = True
                lost = missed(self._spec, self._state, self._present)
                self._last = found = plan(self._spec, self._state, lost, self._present, self._clock.now_ns())
                await self._keep(found, ())
            await self._wait(found.next_ns, self._clock.monotonic() - began_s)

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

    async def _keep(self, found: NextMessages, rows: Sequence[AlarmEntry]) -> None:
        """Store what was planned. The same is stored until it is known to be: planned anew it could be other messages
        about the same alarms."""
        for name in found.unreached:
            _log.warning("alarms: route %s has a message, and no person is on duty to get it", name)
        self._unreached |= set(found.unreached)
        self._unreached -= {message.route for message in found.messages}
        if not (rows or found.messages or found.changed):
            self._state = found.state
            return
        sequence = max([self._sequence, *(row.sequence for row in rows)])
        planned = [one for one in found.messages if one.kind is not NotificationKind.FOLLOW_UP]
        planned += await self._follow_ups.really(
            [one for one in found.messages if one.kind is NotificationKind.FOLLOW_UP]
        )
        messages = [compose(one, self._find, self._present, self._words) for one in planned]
        changed = saved(found.changed)
        put = partial(self._store.put, self._writer, messages, sequence=sequence, changed=changed)
        await self._with_database(put)
        self._sequence = sequence
        self._state = found.state
        if messages:
            self._stored()

    async def _wait(self, next_ns: int | None, took_s: float) -> None:
        """Until something was saved, or the time of the next step. `took_s`: the last look and its transaction."""
        await self._clock.sleep(min(LONGEST_TOGETHER_S, max(TOGETHER_S, SHARE * took_s)))
        wait_s = LONGEST_S if next_ns is None else min(LONGEST_S, (next_ns - self._clock.now_ns()) / 1e9)
        if wait_s > 0:
            try:
                async with within(self._clock, wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _with_database(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of the call, which is repeated until the database answers. Conflict where another process has
        taken over."""

        async def attempt() -> T:
            try:
                async with within(self._clock, STORE_S):
                    return await call()
            except TimeoutError as error:
                raise LinkError(f"the database did not answer within {STORE_S:g} s", source="alarms") from error

        return await Retry(self._clock, self._report, pause_s=RETRY_S).run(attempt)
