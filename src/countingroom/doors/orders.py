"""Commands of a door to the fleet: as its principal, by the one policy, each in the audit and waited for to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from uuid import uuid4

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus, Subscription
from countingroom.bus.publisher import Publisher
from countingroom.core import policy, subjects
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock, within
from countingroom.core.command_permissions import of_fleet
from countingroom.core.commands.fleet import FLEET, TARGET
from countingroom.core.errors import Cause, CountingRoomError, LinkError, NotFound, Refused
from countingroom.core.messages import Command, Event, EventKind, Reply
from countingroom.core.policy import Permission, Principal
from countingroom.core.subjects import EXPERIMENT
from countingroom.core.values import Scalar
from countingroom.doors.running import RunningCommand

_log = logging.getLogger(__name__)

DEPARTMENT = "doors"
FLEET_DEPARTMENT = "fleet"
ANSWER_S = 10.0
"""The keeper accepts or refuses at once; what it saves first may take a moment."""
LAST_EVENTS_S = 2.0
"""The events of a keeper that has ended may come so much later."""
EVENT_S = 10.0
"""Between two events about refusals of one code: a script may repeat its mistake each second."""

Audit = Callable[[AuditEntry], Awaitable[None]]


class FleetOrders:
    """The commands of one door."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        publisher: Publisher,
        principal: Principal,
        audit: Audit,
        keeper_ended: Callable[[], Coroutine[object, object, None]],
    ) -> None:
        """`keeper_ended`: returns when the present keeper does not keep the fleet any more."""
        self._keeper_ended = keeper_ended
        self._bus = bus
        self._clock = clock
        self._publisher = publisher
        self._principal = principal
        self._audit = audit
        self._told_s: dict[str, float] = {}
        self._decided: dict[Permission, Cause | None] = {}
        """The rights of a door are those of its description, and there is no lease on the fleet: one decision holds."""

    def check(self, permission: Permission) -> None:
        """Refused where the principal may not."""
        if permission not in self._decided:
            decided = policy.decide(self._principal, permission, EXPERIMENT, now_ns=self._clock.now_ns())
            self._decided[permission] = decided
        if cause := self._decided[permission]:
            raise Refused(cause)

    async def allow(self, asked: RunningCommand, permission: Permission, **arguments: Scalar) -> None:
        """Let a command pass that the door carries out itself. Refused where the principal may not. It is audited."""
        try:
            self.check(permission)
        except Refused as error:
            await self._refuse(asked, asked.name, arguments, error.cause)
            raise
        await self._record(asked, asked.name, arguments, Outcome.ACCEPTED, None)

    async def give(self, asked: RunningCommand, action: str, arguments: Mapping[str, Scalar], *, id: str = "") -> Event:
        """Give a command to the fleet and return its closing event. `id`: its id, if the caller must know it before.

        Refused if it is refused or fails, LinkError if no keeper answers or the keeper ends before the command.
        """
        if action not in FLEET:
            raise NotFound(f"the fleet has no command {action}", source=FLEET_DEPARTMENT, suggestion="see help")
        try:
            self.check(of_fleet(action))
        except Refused as error:
            await self._refuse(asked, action, arguments, error.cause)
            raise
        command = self._command(asked, action, id or uuid4().hex, arguments)
        async with self._bus.subscribe(subjects.event(FLEET_DEPARTMENT, TARGET), limit=1024) as events:
            subject = subjects.command(self._principal.name, FLEET_DEPARTMENT, TARGET)
            try:
                reply = await ask(self._bus, subject, command, Reply, timeout_s=ANSWER_S)
            except CountingRoomError as error:
                await self._record(asked, action, arguments, Outcome.FAILED, error.cause)
                raise
            outcome = Outcome.ACCEPTED if reply.accepted else Outcome.REFUSED
            await self._record(asked, action, arguments, outcome, reply.cause)
            if not reply.accepted:
                raise Refused(reply.cause or _unexplained(action))
            return await self._kept_end(events, command)

    async def _kept_end(self, events: Subscription, command: Command) -> Event:
        """The closing event. LinkError if the keeper ends without one, for example because it was killed."""
        tasks = end, _ = asyncio.create_task(self._end(events, command)), asyncio.create_task(self._keeper_ended())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not end.done():
                with suppress(TimeoutError):
                    async with within(self._clock, LAST_EVENTS_S):
                        await asyncio.wait([end])
            if end.done():
                return end.result()
        finally:
            for task in tasks:
                task.cancel()
        raise LinkError(
            f"The keeper of the fleet ended before {command.action} did: what became of it is not known.",
            source=FLEET_DEPARTMENT,
            code="keeper_ended",
            suggestion="look at the status, then command it again",
        )

    async def _end(self, events: Subscription, command: Command) -> Event:
        async for message in events:
            event = self._bus.dead_letters.read(message.subject, message.data, Event)
            if event is None or event.command_id != command.id:
                continue
            if event.kind is EventKind.FAILED:
                raise Refused(event.cause or _unexplained(command.action))
            if event.kind is EventKind.DONE:
                return event
        raise LinkError("the events of the fleet ended; what became of the command is not known", source="bus")

    def _command(self, asked: RunningCommand, action: str, id: str, arguments: Mapping[str, Scalar]) -> Command:
        now_ns = self._clock.now_ns()
        return Command(
            id=id,
            action=action,
            arguments=dict(arguments),
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            origin=_origin(asked),
        )

    async def _refuse(self, asked: RunningCommand, action: str, arguments: Mapping[str, Scalar], cause: Cause) -> None:
        """Record a refusal that the keeper does not know of."""
        await self._record(asked, action, arguments, Outcome.REFUSED, cause)
        now_s = self._clock.monotonic()
        if now_s - self._told_s.get(cause.code, float("-inf")) < EVENT_S:
            return
        self._told_s[cause.code] = now_s
        self._publisher.event(
            Event(
                id=uuid4().hex,
                kind=EventKind.REFUSED,
                time_ns=self._clock.now_ns(),
                department=DEPARTMENT,
                source=asked.actor,
                message=f"{asked.name} refused: {cause.message}",
                principal=self._principal.name,
                action=action,
                cause=cause,
                data={**arguments, "origin": _origin(asked)},
            )
        )

    async def _record(
        self, asked: RunningCommand, action: str, arguments: Mapping[str, Scalar], outcome: str, cause: Cause | None
    ) -> None:
        entry = AuditEntry(
            time_ns=self._clock.now_ns(),
            who=self._principal.name,
            what=action,
            target=FLEET_DEPARTMENT,
            arguments={**arguments, "asked": asked.command.body[:500]},
            origin=_origin(asked),
            outcome=outcome,
            cause=cause,
        )
        try:
            await self._audit(entry)
        except CountingRoomError as error:  # its event has all of it
            _log.warning("the audit does not take %s of %s: %s", action, self._principal.name, error)


def _origin(asked: RunningCommand) -> str:
    return f"door {asked.connection.host}".strip()


def _unexplained(action: str) -> Cause:
    return Cause(
        code="refused",
        message=f"the fleet refused {action} and gave no reason",
        source=FLEET_DEPARTMENT,
        suggestion="look at the events of the fleet",
    )
