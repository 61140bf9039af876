"""Makes commands of what clients of EPICS put, each as the principal of its rule and with the rights of that one.

A put goes the way of every other command: judged by the device host, an event with its end, an entry of the audit. What
is refused before that is an event of this department.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from uuid import uuid4

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus, Subscription
from countingroom.bus.publisher import Publisher
from countingroom.core import command_permissions, policy, subjects
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, NotFound, OutOfRange, RequestError
from countingroom.core.messages import Command, Event, EventKind, Reply
from countingroom.core.policy import Principal
from countingroom.core.values import Scalar
from countingroom.pvs.table import WritablePoint
from countingroom.pvs.wire import PvEnd, PvPut

_log = logging.getLogger(__name__)

DEPARTMENT = "pvs"
ORIGIN = "epics"
ANSWER_S = 5.0
"""A device host accepts or refuses at once."""
END_S = 10.0
"""So much longer than its confirmation a command may take until its client is told that it has failed."""
LATE_S = 5.0
"""A put that is older, as this process was frozen, is not sent any more."""
EVENT_S = 10.0
"""Between two events about one variable and code: a client may repeat its mistake each second."""

Audit = Callable[[AuditEntry], Awaitable[None]]


class PvWriter:
    """Runs until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        find: Callable[[str], WritablePoint | None],
        principal: Callable[[str], Principal],
        audit: Audit,
        ended: Callable[[str, PvEnd], None],
    ) -> None:
        """`find`: process variable -> its point. `principal`: rule -> as whom. `ended`: takes what became of a put."""
        self._bus = bus
        self._clock = clock
        self._find = find
        self._principal = principal
        self._audit = audit
        self._ended = ended
        self._publisher = Publisher(bus, clock, DEPARTMENT)
        self._puts: asyncio.Queue[PvPut] = asyncio.Queue()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Process variable -> puts are sent in the order in which they came."""
        self._told_s: dict[tuple[str, str], float] = {}

    def take(self, put: PvPut) -> None:
        """Carry out what a client has put. The server limits how many are under way."""
        self._puts.put_nowait(put)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publisher.run())
            while True:
                group.create_task(self._carry(await self._puts.get()))

    async def _carry(self, put: PvPut) -> None:
        is_done, found = False, self._find(put.name)
        try:
            is_done = await self._carried(put, found)
        except CountingRoomError as error:
            self._refused(put, found, error.cause)
        except Exception as error:  # a put must not end what serves the others
            _log.exception("pvs: a put to %s was not served: %s", put.name, error)
        finally:
            self._ended(put.name, PvEnd(put.id, is_done))

    async def _carried(self, put: PvPut, found: WritablePoint | None) -> bool:
        """Whether it was done; RequestError where it is refused here."""
        if found is None:
            raise NotFound(f"{put.name} is not served any more", suggestion="read it again")
        if put.is_early:
            raise RequestError(
                "another put to it is under way", code="busy", suggestion="repeat it when the other one has ended"
            )
        if self._clock.now_ns() / 1e9 - put.time_s > LATE_S:
            raise RequestError(
                f"it has waited for more than {LATE_S:g} s", code="too_late", suggestion="read the value, and put again"
            )
        if (value := found.taken(put.value)) is None:
            raise OutOfRange(f"{put.value} is no value of it", suggestion="put a number or word that it can have")
        principal, target = self._principal(found.rule), f"device.{found.device}"
        permission = command_permissions.of_point(found.point)
        command = self._command(found, value)
        if cause := policy.decide(principal, permission, target, now_ns=self._clock.now_ns()):
            await self._record(put, found, Outcome.REFUSED, cause)
            self._refused(put, found, cause)
            return False
        async with self._bus.subscribe(subjects.event("devices", found.device), limit=1024) as events:
            try:
                async with self._turns[put.name]:
                    subject = subjects.command(principal.name, "devices", found.device)
                    reply = await ask(self._bus, subject, command, Reply, timeout_s=ANSWER_S)
            except CountingRoomError as error:
                await self._record(put, found, Outcome.FAILED, error.cause)
                raise
            # A refusal has an event of the device host.
            await self._record(put, found, Outcome.ACCEPTED if reply.accepted else Outcome.REFUSED, reply.cause)
            if not reply.accepted or not put.waits:
                return reply.accepted
            try:
                async with within(self._clock, found.point.confirm_s + END_S):
                    return await self._is_done(events, command.id)
            except TimeoutError:
                return False

    async def _is_done(self, events: Subscription, id: str) -> bool:
        async for message in events:
            event = self._bus.dead_letters.read(message.subject, message.data, Event)
            if event and event.command_id == id and event.kind in (EventKind.DONE, EventKind.FAILED):
                return event.kind is EventKind.DONE
        return False

    def _command(self, found: WritablePoint, value: float | int | str | bool) -> Command:
        now_ns = self._clock.now_ns()
        return Command(
            id=uuid4().hex,
            action="set",
            channel=found.point.channel,
            arguments={"point": found.point.name, "value": value},
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            origin=ORIGIN,
        )

    def _refused(self, put: PvPut, found: WritablePoint | None, cause: Cause) -> None:
        """Tell a refusal that no device host knows of."""
        key, now_s = (put.name, cause.code), self._clock.monotonic()
        if now_s - self._told_s.get(key, float("-inf")) < EVENT_S:
            return
        self._told_s[key] = now_s
        self._publisher.event(
            Event(
                id=uuid4().hex,
                kind=EventKind.REFUSED,
                time_ns=self._clock.now_ns(),
                department=DEPARTMENT,
                source=found.device if found else DEPARTMENT,
                channel=found.point.channel if found else "",
                message=f"a put to {put.name} refused: {cause.message}",
                principal=self._principal(found.rule).name if found else "",
                action="set",
                cause=cause,
                data=_who(put),
            )
        )

    async def _record(self, put: PvPut, found: WritablePoint, outcome: str, cause: Cause | None) -> None:
        entry = AuditEntry(
            time_ns=self._clock.now_ns(),
            who=self._principal(found.rule).name,
            what="set",
            target=f"device.{found.device}",
            arguments={"point": found.point.name, "value": put.value, **_who(put)},
            origin=f"{ORIGIN} {put.host}".strip(),
            outcome=outcome,
            cause=cause,
        )
        try:
            await self._audit(entry)
        except CountingRoomError as error:  # its event has all of it
            _log.warning("the audit does not take a put to %s: %s", put.name, error)


def _who(put: PvPut) -> dict[str, Scalar]:
    """The client, as far as it is known: its user is what it says itself."""
    return {"user": put.user if put.user.isprintable() else ascii(put.user), "host": put.host}
