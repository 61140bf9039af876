"""Requests of people about messages: the command `test` of the target `_notify`, and the query of the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from countingroom.alarms.notify.deliveries import Deliveries
from countingroom.alarms.table_target import TableTarget
from countingroom.bus.command_request import CommandRequest, Completion
from countingroom.bus.command_server import CommandServer, Policy
from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.commands.notifications import NOTIFICATIONS
from countingroom.core.errors import Cause, CountingRoomError, NotFound, Refused
from countingroom.core.messages import Malformed, MessageDecoder, encode
from countingroom.core.notify.messages import NotificationState, OutboxEntry
from countingroom.core.notify.queries import OutboxAnswer, OutboxQuery
from countingroom.core.series import QueryRefusal
from countingroom.core.values import Scalar

_MOST_ROWS = 1000
_query = MessageDecoder(OutboxQuery)


class NotifyCommands(TableTarget):
    """The target `_notify`."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        super().__init__(NOTIFICATIONS, {"test": self._test}, "the sending of messages")

    async def _test(self, request: CommandRequest) -> Completion:
        named = request.text("channel", "")
        known = self._deliveries.channels
        if not known:
            raise NotFound(
                "the description has no channel",
                source="alarms.notify",
                suggestion="write one under alarms.notify.channels",
            )
        if named and named not in known:
            raise NotFound(
                f"there is no channel {named!r}",
                source="alarms.notify",
                suggestion=f"the channels are: {', '.join(known)}",
            )
        return self._send([named] if named else known, request.by)

    async def _send(self, channels: Collection[str], by: str) -> Mapping[str, Scalar]:
        """Test the channels at the same time. Refused with the causes of the channels that did not take the message."""

        async def cause(channel: str) -> Cause | None:
            try:
                await self._deliveries.test(channel, by)
            except CountingRoomError as error:
                return error.cause
            return None

        found = await asyncio.gather(*map(cause, channels))
        causes = [one for one in found if one is not None]
        if len(causes) == 1:
            raise Refused(causes[0])
        if causes:
            raise Refused(
                Cause(
                    code="notification_failed",
                    message=f"{len(causes)} of {len(found)} channels did not take the message: "
                    + "; ".join(one.message for one in causes),
                    source="alarms.notify",
                    suggestion=causes[0].suggestion,
                    causes=tuple(causes),
                )
            )
        return {"sent": len(found)}


class OutboxRows(Protocol):
    """What the answer needs from the database; implemented by `storage/notifications.py`."""

    def pending(self) -> Awaitable[tuple[OutboxEntry, ...]]: ...
    def ended(
        self,
        states: Collection[NotificationState] = (),
        *,
        since_ns: int = 0,
        channel: str = "",
        limit: int = ...,
    ) -> Awaitable[tuple[OutboxEntry, ...]]: ...


class NotifyRequests:
    """Serves the command and the query. `run` works until cancelled."""

    def __init__(
        self, bus: Bus, clock: Clock, publisher: Publisher, store: OutboxRows, deliveries: Deliveries, policy: Policy
    ) -> None:
        """`policy`: the policy of the department's commands."""
        self._answers = OutboxAnswers(bus, store, deliveries)
        target = NotifyCommands(deliveries)
        self._server = CommandServer(bus, clock, "alarms", subjects.NOTIFICATIONS, target, publisher, policy=policy)

    async def run(self) -> None:
        """Serve until cancelled."""
        async with self._answers.serving():
            await self._server.run()


class OutboxAnswers:
    """Answers `query.alarms.notifications`."""

    def __init__(self, bus: Bus, store: OutboxRows, deliveries: Deliveries) -> None:
        self._bus = bus
        self._store = store
        self._deliveries = deliveries

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Answers queries while entered."""
        async with self._bus.respond(subjects.query("alarms", "notifications"), self._answer):
            yield

    async def _answer(self, message: Message) -> bytes:
        try:
            return encode(await self._read(_query.decode(message.data)))
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question about messages", error, "alarms")))
        except CountingRoomError as error:  # the database is away
            return encode(QueryRefusal(cause=error.cause))

    async def _read(self, question: OutboxQuery) -> OutboxAnswer:
        limit = max(0, min(question.limit, _MOST_ROWS))
        pending = await self._store.pending()
        ended = await self._store.ended(channel=question.channel, limit=_MOST_ROWS if question.alarm else limit)
        if question.alarm:
            pending = tuple(one for one in pending if _tells_of(one, question.alarm))
            ended = tuple(one for one in ended if _tells_of(one, question.alarm))[:limit]
        return OutboxAnswer(
            channels=tuple(self._deliveries.states()),
            pending=tuple(one for one in pending[:_MOST_ROWS] if question.channel in ("", one.notification.channel)),
            ended=ended,
        )


def _tells_of(entry: OutboxEntry, alarm: str) -> bool:
    return any(one == alarm for one, _ in entry.notification.alarms)
