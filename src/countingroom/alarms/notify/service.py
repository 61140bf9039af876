"""Notification for the active engine: joins the parts that plan, store, send and delete messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol
from zoneinfo import ZoneInfo

from countingroom.alarms.notify.acknowledging import AcknowledgeLinker, LinkStore
from countingroom.alarms.notify.bus_copy import BusCopy
from countingroom.alarms.notify.deliveries import Deliveries
from countingroom.alarms.notify.duty_answers import DutyAnswers
from countingroom.alarms.notify.held_outbox import HeldOutbox
from countingroom.alarms.notify.notifier import Notifier, NotifyStore
from countingroom.alarms.notify.requests import NotifyRequests, OutboxRows
from countingroom.alarms.notify.worker import OutboxStore
from countingroom.alarms.sections.notify import NotifySection
from countingroom.bus.command_server import Policy
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.notify.elsewhere import elsewhere
from countingroom.core.notify.messages import Notification, NotificationState
from countingroom.core.notify.texts import Find, Wording
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

KEPT_NS = 90 * 86_400_000_000_000
"""How long messages are kept after their end."""
CHUNK = 1_000
ELSEWHERE_NS = 3_600_000_000_000
"""A message that was given up longer ago is not sent another way."""
RETRY_S = 1.0
DISCARD_S = 600.0
"""The pause between two deletions of old messages."""


class NotifyDatabase(NotifyStore, OutboxStore, OutboxRows, LinkStore, Protocol):
    """What notification needs from the database; implemented by `storage/notifications.py`."""

    def discard(self, before_ns: int, most: int = ...) -> Awaitable[int]: ...


class NotifyService:
    """The parts of notification. Each runs until cancelled, or until another process has taken over (Conflict)."""

    def __init__(
        self,
        section: NotifySection,
        experiment: str,
        store: NotifyDatabase,
        writer: int | None,
        clock: Clock,
        bus: Bus,
        publisher: Publisher,
        *,
        find: Find,
        present: Iterable[AlarmState],
        unsaved: Collection[str] = (),
        shifts: Mapping[str, int] | None = None,
        leads: Callable[[], bool] = lambda: True,
        troubles: Callable[[], Sequence[str]],
    ) -> None:
        """`experiment`: its name, for titles. `writer`: the number from `Alarms.take_over`; None: the database did not
        answer, and only urgent messages are sent. `present`: the alarms that are not at rest. `unsaved`: those of them
        whose saved state is out of date. `shifts`: alarm -> number to add to occurrences that the last engine counted.
        `leads`: whether this engine still holds the lease; called in any thread. `troubles`: why the department is not
        ready."""
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._spec = section.spec()
        self._writer = writer
        self._has_begun = False
        self._news = asyncio.Event()
        """Set when messages may have been given up that must be sent another way."""
        words = Wording(experiment=experiment, console=section.console, zone=ZoneInfo(section.zone))
        copy = BusCopy(bus, publisher, clock, leads)
        self._held = HeldOutbox(clock, offered=self._wake_held, ended=self._wake_notifier, copy=copy)
        self.notifier = Notifier(
            self._spec,
            words,
            store,
            writer,
            clock,
            find=find,
            present=present,
            stored=self._wake,
            held=self._held,
            unsaved=unsaved,
            copy=copy,
            shifts=shifts,
        )
        # Without a number the notifier does not recover the outbox, so the workers never use this 0.
        number = writer or 0
        self.deliveries = Deliveries(
            section.channels,
            section.heartbeat,
            store,
            number,
            clock,
            publisher,
            still_wanted=self.notifier.still_wanted,
            troubles=troubles,
            dead=self._dead,
            linked=AcknowledgeLinker(section, self._spec.directory, store, number).linked,
            held=self._held,
            leads=leads,
        )

    def troubles(self) -> list[str]:
        """Why messages about alarms are not sent, one sentence each."""
        return [*self.notifier.troubles(), *self.deliveries.troubles()]

    def warnings(self) -> list[str]:
        """Problems that do not make the department unready, one sentence each."""
        return [*self.notifier.warnings(), *self.deliveries.warnings()]

    def parts(self, bus: Bus, policy: Policy) -> Sequence[Callable[[], Awaitable[None]]]:
        """The parts that must be run. `policy`: the policy of the department's commands."""
        requests = NotifyRequests(bus, self._clock, self._publisher, self._store, self.deliveries, policy)
        duty = DutyAnswers(bus, self._clock, self._spec)
        return (
            self.notifier.run,
            self.deliveries.run,
            requests.run,
            duty.run,
            self._send_elsewhere,
            self._discard_old,
        )

    def _wake(self) -> None:
        # The outbox is recovered now. The last engine may have ended right after it gave up a message, before it sent
        # the message another way.
        if not self._has_begun:
            self._has_begun = True
            self._news.set()
        self.deliveries.wake()

    def _wake_held(self) -> None:
        self.deliveries.wake_held()

    def _wake_notifier(self) -> None:
        self.notifier.wake()

    def _dead(self, message: Notification, reason: str) -> None:
        self._news.set()
        if self._held.has(message.id):  # not by `_send_elsewhere`, which would wait for the database
            self._held.offer(elsewhere(message, reason, self._spec, self._clock.now_ns()))

    async def _send_elsewhere(self) -> None:
        """Send messages that were given up another way. The ids of the new messages follow from the old ones, so a
        message that was stored before is not stored again."""
        report = edge_log(_log, "alarms: dead messages are not read", "alarms: dead messages are read again")
        handled: set[str] = set()
        if (writer := self._writer) is None:
            return
        while True:
            await self._news.wait()
            self._news.clear()
            since_ns = self._clock.now_ns() - ELSEWHERE_NS
            read = partial(self._store.ended, (NotificationState.DEAD,), since_ns=since_ns)
            dead = await Retry(self._clock, report, pause_s=RETRY_S).run(read)
            new = [one for one in dead if one.notification.id not in handled]
            now_ns = self._clock.now_ns()
            messages = [sent for one in new for sent in elsewhere(one.notification, one.error, self._spec, now_ns)]
            if messages:
                put = partial(self._store.put, writer, messages)
                await Retry(self._clock, report, pause_s=RETRY_S).run(put)
                self._held.keep(messages)
                self.deliveries.wake()
            handled = {one.notification.id for one in dead}

    async def _discard_old(self) -> None:
        report = edge_log(_log, "alarms: old messages are not deleted", "alarms: old messages are deleted again")
        while True:
            try:
                while await self._store.discard(self._clock.now_ns() - KEPT_NS) >= CHUNK:
                    pass
            except LinkError as error:
                report.failed(error.cause)
            else:
                report.worked()
            await self._clock.sleep(DISCARD_S)
