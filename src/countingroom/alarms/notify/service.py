"""Notification as a whole, for the active engine: messages are planned, stored, sent, and kept within bounds."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from countingroom.alarms.notify.deliveries import Deliveries
from countingroom.alarms.notify.duty_answers import DutyAnswers
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
from countingroom.core.notify.texts import Find, Wording
from countingroom.core.retry import edge_log

_log = logging.getLogger(__name__)

KEPT_NS = 90 * 86_400_000_000_000
"""Messages that were sent are kept so long."""
CHUNK = 1_000
DISCARD_S = 600.0
"""Between two looks for messages that are too old."""


class NotifyDatabase(NotifyStore, OutboxStore, OutboxRows, Protocol):
    """What notification needs of the database; `storage/notifications.py` is it."""

    def discard(self, before_ns: int, most: int = ...) -> Awaitable[int]: ...


class NotifyService:
    """The parts of notification, each of which runs until cancelled, or until another process has taken over
    (Conflict)."""

    def __init__(
        self,
        section: NotifySection,
        experiment: str,
        store: NotifyDatabase,
        writer: int,
        clock: Clock,
        publisher: Publisher,
        *,
        find: Find,
        present: Iterable[AlarmState],
        troubles: Callable[[], Sequence[str]],
    ) -> None:
        """`experiment`: its name, for subjects. `writer`: the number from `Alarms.take_over`. `present`: the saved
        alarms that are not at rest. `troubles`: why the department is not ready."""
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._spec = spec = section.spec()
        words = Wording(experiment=experiment, console=section.console, zone=ZoneInfo(section.zone))
        self.notifier = Notifier(
            spec,
            words,
            store,
            writer,
            clock,
            find=find,
            present=present,
            stored=self._wake,
        )
        self.deliveries = Deliveries(
            section.channels,
            section.heartbeat,
            store,
            writer,
            clock,
            publisher,
            still_wanted=self.notifier.still_wanted,
            troubles=troubles,
        )

    def troubles(self) -> list[str]:
        """Why people are not told of alarms, one sentence each."""
        return [*self.notifier.troubles(), *self.deliveries.troubles()]

    def warnings(self) -> list[str]:
        """What is to be looked at, one sentence each."""
        return [*self.notifier.warnings(), *self.deliveries.warnings()]

    def parts(self, bus: Bus, policy: Policy) -> Sequence[Callable[[], Awaitable[None]]]:
        """What is to be run. `policy`: that of the commands of the department."""
        requests = NotifyRequests(bus, self._clock, self._publisher, self._store, self.deliveries, policy)
        duty = DutyAnswers(bus, self._clock, self._spec)
        return self.notifier.run, self.deliveries.run, requests.run, duty.run, self._discard_old

    def _wake(self) -> None:
        self.deliveries.wake()

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
