"""The command server: how every department receives commands.

A command is answered at once: accepted, or refused with a Cause. An accepted command ends in exactly one event, DONE or
FAILED, which is published after the state that the command led to. Admission is in `core/admission.py`; a department
gives its legality and handlers (`CommandTarget`) and, where it has one, its policy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Protocol
from uuid import NAMESPACE_OID, uuid4, uuid5

import msgspec
from msgspec import Struct

from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, EndsLater
from countingroom.bus.command_words import describe, event_data
from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import admission, subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, Refused
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.core.policy import Permission
from countingroom.core.sender_clocks import SenderClocks
from countingroom.core.values import Scalar

_log = logging.getLogger(__name__)

UNDER_WAY = 512
"""Commands of one target that may be under way; more are refused."""

SETTLE_S = 2.0
"""The longest time that a closing event waits for the publication of the state."""


class CommandTarget(Protocol):
    """The part of one target that its department implements."""

    def handler(self, command: Command) -> CommandHandler:
        """The handler of the command. NotFound or OutOfRange if there is none."""
        ...

    def permission(self, command: Command) -> Permission:
        """The permission that the command needs. For MAKE_SAFE neither deadline nor seen state is checked."""
        ...

    def present(self, command: Command) -> str:
        """The state that `seen_state` of the command is compared with."""
        ...

    def refusal(self, request: CommandRequest) -> Cause | None:
        """Why the command is not legal now."""
        ...

    async def settle(self) -> Mapping[str, int]:
        """Publish the state as it is now; the positions up to which it is published (`Event.positions`)."""
        ...


Policy = Callable[[CommandRequest, CommandHandler, Permission], AbstractAsyncContextManager[None]]
"""Entered while a command is begun; raises RequestError where the user may not give it."""


def allow_all(request: CommandRequest, handler: CommandHandler, permission: Permission) -> nullcontext[None]:
    """The policy of a department that leaves the decision to the sender, as devices leave it to the console."""
    return nullcontext()


class _Open(Struct, eq=False):
    """An accepted command that is carried out."""

    request: CommandRequest
    name: str
    rest: Coroutine[Any, Any, Mapping[str, Scalar] | None]
    began_s: float


class _Ending(Struct, frozen=True, kw_only=True):
    """How a command ended."""

    command: Command
    user: str
    name: str
    cause: Cause | None = None
    message: str = ""
    data: Mapping[str, Scalar] = {}
    event_id: str = ""


class CommandServer:
    """Receives the commands of one target."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        department: str,
        name: str,
        target: CommandTarget,
        publisher: Publisher,
        *,
        policy: Policy = allow_all,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._department = department
        self._name = name
        self._target = target
        self._publisher = publisher
        self._policy = policy
        self._source = f"{department}.{name}"
        self._seen = admission.SeenIds()
        self._clocks = SenderClocks()
        self._open: dict[str, _Open] = {}
        self._endings: list[_Ending] = []
        self._news = asyncio.Event()
        self._group: asyncio.TaskGroup
        self._is_serving = False

    async def run(self) -> None:
        """Serve until cancelled."""
        async with self.serving():
            await asyncio.Event().wait()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Answers commands while entered. At the end, open commands get the event FAILED with an unknown outcome."""
        try:
            async with (
                asyncio.TaskGroup() as self._group,
                self._bus.respond(subjects.commands_to(self._department, self._name), self._answer),
            ):
                closing = self._group.create_task(self._close())
                self._is_serving = True
                yield
                closing.cancel()
        finally:
            self._is_serving = False
            # Here and not in `_carry_out`: a task that is cancelled before its first turn never runs its code.
            for one in tuple(self._open.values()):
                one.rest.close()
                self._complete(one, self._stopped())
            self._record_endings(len(self._endings), {})

    async def give(self, command: Command, by: str) -> Cause | None:
        """Carry out a command that this process gives itself, as one from the bus. Returns when it has ended: why it
        was refused or failed, or None. A refusal is not recorded, because its giver may repeat it for long."""
        request = CommandRequest(command=command, by=by)
        if not self._is_serving:
            return self._stopped()
        try:
            handler = self._target.handler(command)
            admission.check_new(command, self._seen)
            self._seen.add(command.id)
            rest = await self._begin(request, handler, 0.0)
        except CountingRoomError as error:
            return None if error.cause.code == admission.NOTHING_TO_DO else self._sourced(error.cause)
        except Exception as error:  # a fault of the department must not end its giver
            _log.exception("%s: %s could not be begun", self._source, command.action)
            return self._fault(command.action, error)
        name = describe(command)
        self._record(EventKind.COMMAND, request, name, data=event_data(command))
        if rest is None or isinstance(rest, EndsLater):
            return None if rest else self._end(_Ending(command=command, user=by, name=name, data=event_data(command)))
        self._open[command.id] = one = _Open(request, name, rest, self._clock.monotonic())
        # Shielded: what was begun goes on when its giver does not wait any more.
        return await asyncio.shield(self._group.create_task(self._carry_out(one)))

    def ended(
        self,
        command_id: str,
        action: str,
        user: str,
        cause: Cause | None,
        positions: Mapping[str, int],
        **data: Scalar,
    ) -> None:
        """Record the end of a command whose handler returned ENDS_LATER, at once. The target publishes later that the
        goal is over, so an owner that dies in between leaves the goal, and the next owner reports the same end again.
        The event's id follows from that of the command, and the bus stores one id once."""
        event_id = uuid5(NAMESPACE_OID, f"{self._name} {command_id}").hex if command_id else ""
        command = Command(id=command_id, action=action, issued_ns=0, deadline_ns=0)
        ending = _Ending(command=command, user=user, name=action, cause=cause, data=data, event_id=event_id)
        self._record_ending(ending, positions)

    def record(
        self,
        kind: EventKind,
        message: str,
        *,
        id: str = "",
        severity: int | None = None,
        data: Mapping[str, Scalar] | None = None,
        **fields: Any,
    ) -> None:
        """Record an event of the target; `fields` as in Event. The bus stores one id once."""
        self._publisher.event(
            Event(
                id=id or uuid4().hex,
                kind=kind,
                time_ns=self._clock.now_ns(),
                department=self._department,
                source=self._name,
                message=message,
                severity=(3 if kind is EventKind.FAILED else 0) if severity is None else severity,
                data=dict(data or {}),
                **fields,
            )
        )

    async def _answer(self, message: Message) -> bytes:
        user = subjects.command_user(message.subject)
        try:
            command = decode(message.data, Command)
        except msgspec.DecodeError as error:
            cause = admission.malformed("a command", error, self._source, suggestion="send a Command")
            self.record(EventKind.REFUSED, "a command was refused: malformed", principal=user, cause=cause)
            return encode(Reply(id="", accepted=False, cause=cause))
        late_s = self._late_s(command, user)
        command = admission.received(command, self._clock.now_ns())
        request = CommandRequest(command=command, by=user)
        handler: CommandHandler | None = None
        nothing = ""
        rest: Completion = None
        try:
            handler = self._target.handler(command)
            if not handler.recorded:
                await handler.handler(request)
                return encode(Reply(id=command.id, accepted=True))
            admission.check_new(command, self._seen)
            self._seen.add(command.id)  # before the wait in `_begin`: a repetition may arrive meanwhile
            rest = await self._begin(request, handler, late_s)
        except CountingRoomError as error:
            if error.cause.code != admission.NOTHING_TO_DO:
                return self._refuse(request, handler, error.cause)
            nothing = f"nothing to be done: {error.cause.message}"
        except Exception as error:  # a fault of the department must not be answered by silence
            _log.exception("%s: %s could not be begun", self._source, command.action)
            return self._refuse(request, handler, self._fault(command.action, error))
        name = describe(command)
        self._record(EventKind.COMMAND, request, name, data=event_data(command))
        if rest is None:
            self._end(_Ending(command=command, user=user, name=name, message=nothing, data=event_data(command)))
        elif not isinstance(rest, EndsLater):
            self._open[command.id] = one = _Open(request, name, rest, self._clock.monotonic())
            self._group.create_task(self._carry_out(one))
        return encode(Reply(id=command.id, accepted=True))

    def _late_s(self, command: Command, user: str) -> float:
        """How long the command was under way. A clock of its sender that differs is told once; the times of both are in
        the event, and the command is served."""
        if not command.within_s:
            return 0.0
        now_ns = self._clock.now_ns()
        sent_ns = command.issued_ns + round(command.age_s * 1e9)
        sender = f"{user} ({command.origin})" if command.origin else user
        judged = self._clocks.heard(sender, (sent_ns - now_ns) / 1e9, self._clock.monotonic())
        if judged.difference:
            # One id for all receivers on the bus, which find the same: the bus stores it once.
            event_id = uuid5(NAMESPACE_OID, f"{judged.difference.split(' is ')[0]} {now_ns // 60_000_000_000}").hex
            self.record(
                EventKind.NOTE,
                judged.difference,
                id=event_id,
                principal=user,
                action="clock",
                severity=2,
                data={"sent_ns": sent_ns, "received_ns": now_ns},
            )
        return judged.late_s

    async def _begin(self, request: CommandRequest, handler: CommandHandler, late_s: float) -> Completion:
        command = request.command
        permission = self._target.permission(command)
        came_ns, came_s = self._clock.now_ns(), self._clock.monotonic()
        # Never for a command to a safe state: the clocks of two computers can differ, and stop and abort get through.
        if permission is not Permission.MAKE_SAFE:
            admission.check_under_way(command, late_s)
            admission.check_deadline(command, came_ns)
        async with self._policy(request, handler, permission):
            if permission is not Permission.MAKE_SAFE:
                now_ns = came_ns + round((self._clock.monotonic() - came_s) * 1e9)
                admission.check_deadline(command, now_ns)  # the policy may have waited for its turn
                admission.check_seen_state(command, self._target.present(command), now_ns)
            if cause := self._target.refusal(request):
                raise Refused(cause)
            admission.check_room(len(self._open), UNDER_WAY)
            return await handler.handler(request)

    def _refuse(self, request: CommandRequest, handler: CommandHandler | None, cause: Cause) -> bytes:
        cause = self._sourced(cause)
        if handler is None or handler.recorded:
            name = describe(request.command)
            self._record(EventKind.REFUSED, request, f"{name} refused: {cause.message}", cause=cause)
        return encode(Reply(id=request.command.id, accepted=False, cause=cause))

    async def _carry_out(self, one: _Open) -> Cause | None:
        """Wait for the end of a command. Returns why it failed. If cancelled, `serving` completes the command."""
        data: Mapping[str, Scalar] | None = None
        cause: Cause | None = None
        try:
            data = await one.rest
        except CountingRoomError as error:
            cause = self._sourced(error.cause)
        except Exception as error:  # must not end the other commands of the target
            _log.exception("%s: %s failed", self._source, one.name)
            cause = self._fault(one.name, error)
        self._complete(one, cause, data)
        return cause

    def _complete(self, one: _Open, cause: Cause | None, data: Mapping[str, Scalar] | None = None) -> None:
        command = one.request.command
        del self._open[command.id]
        took_s = round(self._clock.monotonic() - one.began_s, 3)
        data = {**event_data(command), **(data or {}), "took_s": took_s}
        self._end(_Ending(command=command, user=one.request.by, name=one.name, cause=cause, data=data))

    def _stopped(self) -> Cause:
        return Cause(
            code="owner_stopped",
            message=f"{self._source} stopped serving; the outcome is not known",
            source=self._source,
            suggestion="look at the state, then decide again",
        )

    def _fault(self, name: str, error: Exception) -> Cause:
        return Cause(
            code="internal",
            message=f"{name} failed: {type(error).__name__}: {error}",
            source=self._source,
            suggestion="look at the state, then at the log",
        )

    def _end(self, ending: _Ending) -> None:
        self._endings.append(ending)
        self._news.set()

    async def _close(self) -> None:
        """Record the ends of commands, each after its state is published, so that a client sees the state first."""
        while True:
            await self._news.wait()
            self._news.clear()
            count = len(self._endings)  # what ends during the wait may have led to a later state
            positions: Mapping[str, int] = {}
            try:
                async with within(self._clock, SETTLE_S):
                    positions = await self._target.settle()
            except (TimeoutError, CountingRoomError) as error:
                _log.warning("%s: the end of a command is recorded before its state: %s", self._source, error)
            self._record_endings(count, positions)

    def _record_endings(self, count: int, positions: Mapping[str, int]) -> None:
        endings = self._endings[:count]
        del self._endings[:count]
        for one in endings:
            self._record_ending(one, positions)

    def _record_ending(self, one: _Ending, positions: Mapping[str, int]) -> None:
        done = one.message or f"{one.name} done"
        self.record(
            EventKind.FAILED if one.cause else EventKind.DONE,
            f"{one.name} failed: {one.cause.message}" if one.cause else done,
            id=one.event_id,
            channel=one.command.channel,
            principal=one.user,
            command_id=one.command.id,
            action=one.command.action,
            cause=one.cause,
            data=one.data,
            positions=dict(positions),
        )

    def _record(
        self,
        kind: EventKind,
        request: CommandRequest,
        message: str,
        *,
        cause: Cause | None = None,
        data: Mapping[str, Scalar] | None = None,
    ) -> None:
        command = request.command
        self.record(
            kind,
            message,
            channel=command.channel,
            principal=request.by,
            command_id=command.id,
            action=command.action,
            cause=cause,
            data=event_data(command) if data is None else data,
        )

    def _sourced(self, cause: Cause) -> Cause:
        return cause if cause.source else msgspec.structs.replace(cause, source=self._source)
