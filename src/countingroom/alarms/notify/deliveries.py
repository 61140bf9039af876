"""Sends all messages to people, with one worker for each described channel, and the heartbeat to an outside service.

After a takeover the planner recovers the outbox and calls `wake`; from then on the workers send the messages in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import uuid4

from countingroom.alarms.notify.heartbeat import OutsideHeartbeat
from countingroom.alarms.notify.held_outbox import HeldOutbox
from countingroom.alarms.notify.line import Line, line_of
from countingroom.alarms.notify.sender import TryOutcome
from countingroom.alarms.notify.worker import (
    RETRY_S,
    ChannelRecord,
    ChannelWorker,
    Dead,
    Linked,
    OutboxStore,
    StillWanted,
    failure,
)
from countingroom.alarms.sections.notify_channels import ChannelSection, HeartbeatSection
from countingroom.bus.publisher import Publisher
from countingroom.core import severity, subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import NotFound, Refused
from countingroom.core.messages import Event, EventKind
from countingroom.core.notify.messages import ChannelState, Notification, NotificationKind, notification_id
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

SHOWN_TITLE = 100
TEST_EXPIRES_NS = 60_000_000_000


class Deliveries:
    """The workers of all channels. `run` until cancelled, or until another process has taken over (Conflict)."""

    def __init__(
        self,
        channels: Mapping[str, ChannelSection],
        heartbeat: HeartbeatSection | None,
        store: OutboxStore,
        writer: int,
        clock: Clock,
        publisher: Publisher,
        *,
        still_wanted: StillWanted,
        troubles: Callable[[], Sequence[str]] = tuple,
        dead: Dead | None = None,
        linked: Linked | None = None,
        held: HeldOutbox | None = None,
        leads: Callable[[], bool] = lambda: True,
        line: Callable[[str, ChannelSection, Clock], Line] = line_of,
    ) -> None:
        """`writer`: the number from `Alarms.take_over`. `still_wanted`: called right before a message is sent.
        `troubles`: why the department is not ready; if there are any, the heartbeat stops. `dead`: called for each
        message that is given up, after the outbox has recorded it. `linked`: adds the link for the acknowledgement
        right before a message is sent. `held`: the outbox in memory, for urgent messages while the database is away.
        `leads`: whether this engine still holds the lease; called in any thread. The first `wake` must come after
        `Notifications.recover`."""
        self._store = store
        self._writer = writer
        self._clock = clock
        self._publisher = publisher
        self._on_dead = dead
        self._held = held
        self._is_recovered = asyncio.Event()
        self._workers: dict[str, ChannelWorker] = {}
        self._held_workers: dict[str, ChannelWorker] = {}
        for name, section in channels.items():
            found = line(name, section, clock)
            make = partial(
                ChannelWorker,
                name,
                found,
                writer=writer,
                clock=clock,
                still_wanted=still_wanted,
                dead=self._dead,
                record=ChannelRecord(name, found, self._changed),
                leads=leads,
            )
            self._workers[name] = make(store=store, linked=linked, beside=held)
            if held:
                self._held_workers[name] = make(store=held)
        self._heartbeat = None if heartbeat is None else OutsideHeartbeat(heartbeat, clock, troubles)

    @property
    def channels(self) -> Sequence[str]:
        """Names of the channels."""
        return tuple(self._workers)

    def states(self) -> Sequence[ChannelState]:
        """The state of each channel."""
        return tuple(one.state for one in self._workers.values())

    def wake(self) -> None:
        """Tell all workers that the outbox may have new messages."""
        self._is_recovered.set()
        for worker in self._workers.values():
            worker.wake()

    def wake_held(self) -> None:
        """Tell the workers of the outbox in memory that it has new messages."""
        for worker in self._held_workers.values():
            worker.wake()

    def troubles(self) -> list[str]:
        """Why the department is not ready, one sentence each."""
        return [
            f"the channel {name} hangs: a try to send does not end"
            for name, worker in self._workers.items()
            if worker.is_hanging
        ]

    def warnings(self) -> list[str]:
        """Problems of channels that do not make the department unready, one sentence each."""
        found = [
            f"messages through the channel {one.channel} are not sent: {one.problem}"
            for one in self.states()
            if one.problem
        ]
        if self._heartbeat is not None and self._heartbeat.is_failing:
            found.append("the heartbeat to the outside is not sent")
        return found

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._heartbeat is not None:
                group.create_task(self._heartbeat.run())
            for worker in self._held_workers.values():
                group.create_task(worker.run())
            # `recover` marks all messages in a try as those of the last process. So a worker may begin only after it.
            await self._is_recovered.wait()
            await self._end_unknown()
            for worker in self._workers.values():
                group.create_task(worker.run())

    async def test(self, channel: str, by: str) -> None:
        """Send a test message through a channel at once, without the outbox. NotFound if there is no such channel,
        Refused with the answer of the server if it does not take the message."""
        worker = self._workers.get(channel)
        if worker is None:
            known = ", ".join(self._workers) or "none"
            raise NotFound(
                f"there is no channel {channel!r}", source="alarms.notify", suggestion=f"the channels are: {known}"
            )
        now_ns = self._clock.now_ns()
        message = Notification(
            id=uuid4().hex,
            channel=channel,
            kind=NotificationKind.TEST,
            title=f"Test of the channel {channel}",
            text=f"{by} tests whether messages about alarms arrive this way. Nothing is to be done.",
            created_ns=now_ns,
            due_ns=now_ns,
            expires_ns=now_ns + TEST_EXPIRES_NS,
            attempt=1,
        )
        delivery = await worker.test(message)
        if delivery.outcome is not TryOutcome.ACCEPTED:
            raise Refused(failure(channel, delivery))

    async def _end_unknown(self) -> None:
        """Give up the messages of channels that the description no longer has."""
        retry = Retry(
            self._clock,
            edge_log(_log, "alarms: the outbox is not reached", "alarms: it is reached again"),
            pause_s=RETRY_S,
        )
        for entry in await retry.run(self._store.pending):
            one = entry.notification
            if one.channel not in self._workers:
                reason = f"the description has no channel {one.channel} any more"
                await retry.run(partial(self._store.dead, self._writer, one.id, reason))
                if self._held:
                    self._held.finished(one.id)
                self._dead(one, reason)

    def _changed(self, state: ChannelState) -> None:
        self._publisher.state(subjects.notification_key(state.channel), state)

    def _dead(self, message: Notification, reason: str) -> None:
        self._publisher.event(
            Event(
                id=notification_id("dead", message.id),
                kind=EventKind.NOTE,
                time_ns=self._clock.now_ns(),
                department="alarms",
                source=message.channel,
                message=f"a message through {message.channel} is not sent: {message.title[:SHOWN_TITLE]}: {reason}",
                severity=severity.MEDIUM,
                action="notification_dead",
                data={"notification": message.id, "channel": message.channel, "route": message.route},
            )
        )
        if self._on_dead is not None:
            self._on_dead(message, reason)
