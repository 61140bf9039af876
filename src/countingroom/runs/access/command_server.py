"""Law: what is asked for is answered at once, yes or no with the reason, and ends in exactly one event, DONE or FAILED.

Partitions and the experiment are asked in the same way; what they can do is a table of words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol
from uuid import NAMESPACE_OID, uuid4, uuid5

import msgspec

from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import command_permissions, policy, subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, Conflict, CountingRoomError, NotFound, OutOfRange, Refused
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.core.policy import Principal
from countingroom.core.values import Scalar
from countingroom.runs.access.arguments import CommandHandler, CommandRequest, Completion, EndsLater
from countingroom.runs.access.control_lease import ControlDesk

_log = logging.getLogger(__name__)

REMEMBERED = 8192
"""Ids of commands that are known to have come before."""

UNDER_WAY = 256
"""Commands that may be under way; more are refused."""

MESSAGE_LETTERS, DATA_LETTERS = 200, 10_000
"""Of an argument, in the sentence and in the data of an event."""

SEEN_FOR_NS = 2_000_000_000
"""How long what its sender saw may be ago."""


class CommandTarget(Protocol):
    """Who carries it out."""

    @property
    def handlers(self) -> Mapping[str, CommandHandler]: ...
    @property
    def present(self) -> str:
        """The state it is in."""
        ...

    def refusal(self, request: CommandRequest) -> Cause | None:
        """Why it cannot be done now."""
        ...


FindPrincipal = Callable[[str], Awaitable[Principal]]
"""Who a user is, and what he is trusted with here."""


class CommandServer:
    """Takes the commands of one target."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        target: str,
        owner: CommandTarget,
        *,
        publisher: Publisher,
        control: ControlDesk,
        principals: FindPrincipal,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._target = target
        self._owner = owner
        self._power = (
            command_permissions.of_experiment if target == subjects.EXPERIMENT else command_permissions.of_partition
        )
        self._publisher = publisher
        self._control = control
        self._principals = principals
        self._source = f"runs.{target}"
        self._seen: dict[str, None] = {}
        self._turn = asyncio.Lock()
        """Whoever acts first where nobody is in control is in control; the next one is decided on after that."""
        self._going = 0
        self._group: asyncio.TaskGroup

    async def run(self) -> None:
        """Answer until cancelled."""
        async with (
            asyncio.TaskGroup() as self._group,
            self._bus.respond(subjects.commands_to("runs", self._target), self._answer),
        ):
            await asyncio.Event().wait()

    def ended(self, command_id: str, action: str, by: str, cause: Cause | None, **data: Scalar) -> None:
        """A command that was to end later did. Its end has one id: told again by the next owner, the bus drops it."""
        kind = EventKind.FAILED if cause else EventKind.DONE
        message = f"{action} failed: {cause.message}" if cause else f"{action} done"
        once = uuid5(NAMESPACE_OID, f"{self._target} {command_id}").hex if command_id else ""
        self.tell(kind, message, by=by, command_id=command_id, action=action, cause=cause, data=data, id=once)

    def tell(
        self,
        kind: EventKind,
        message: str,
        *,
        by: str = "",
        command_id: str = "",
        action: str = "",
        before: str = "",
        after: str = "",
        cause: Cause | None = None,
        data: Mapping[str, Scalar] | None = None,
        severity: int | None = None,
        id: str = "",
    ) -> None:
        """Record an event of the target; one of the same id that is recorded already is not recorded again."""
        if severity is None:
            severity = 3 if kind is EventKind.FAILED else 0
        self._publisher.event(
            Event(
                id=id or uuid4().hex,
                kind=kind,
                time_ns=self._clock.now_ns(),
                department="runs",
                source=self._target,
                message=message,
                severity=severity,
                principal=by,
                command_id=command_id,
                action=action,
                before=before,
                after=after,
                cause=cause,
                data=dict(data or {}),
            )
        )

    async def _answer(self, message: Message) -> bytes:
        by = subjects.command_user(message.subject)
        try:
            command = decode(message.data, Command)
        except msgspec.DecodeError as error:
            cause = Cause(code="malformed", message=f"this is no command: {error}", suggestion="send a Command")
            return encode(Reply(id="", accepted=False, cause=self._refused(None, by, cause)))
        request = CommandRequest(command=command, by=by)
        try:
            rest = await self._admit(request)
        except CountingRoomError as error:
            return encode(Reply(id=command.id, accepted=False, cause=self._refused(request, by, error.cause)))
        data = {**_short(command.arguments, DATA_LETTERS), "origin": command.origin}
        named = _named(command)
        self.tell(EventKind.COMMAND, named, by=by, command_id=command.id, action=command.action, data=data)
        if rest is None:
            self.ended(command.id, command.action, by, None)
        elif not isinstance(rest, EndsLater):
            self._group.create_task(self._see_through(request, rest))
        return encode(Reply(id=command.id, accepted=True))

    async def _admit(self, request: CommandRequest) -> Completion:
        command, now_ns = request.command, self._clock.now_ns()
        self._check_time(command, now_ns)
        needs, word = self._power(command.action), self._owner.handlers.get(command.action)
        if word is None:
            known = ", ".join(self._owner.handlers)
            raise NotFound(f"{self._target} knows no command {command.action}", suggestion=f"choose one of {known}")
        for name in command.arguments:
            if name not in word.takes:
                takes = ", ".join(word.takes) or "nothing"
                raise OutOfRange(
                    f"{command.action} takes no {name}", code="unknown_argument", suggestion=f"it takes {takes}"
                )
        if needs not in policy.UNDER_LEASE:  # what makes it safer waits for nobody
            return await self._obey(request, needs, word)
        async with self._turn:
            self._check_late(command, self._clock.now_ns())
            rest = await self._obey(request, needs, word)
            if not word.of_control:
                await self._used(request.by)
            return rest

    async def _obey(self, request: CommandRequest, needs: policy.Permission, word: CommandHandler) -> Completion:
        principal = await self._principals(request.by)
        command, control, now_ns = request.command, self._control.present, self._clock.now_ns()
        if cause := policy.decide(principal, needs, self._target, control=control, token=command.lease, now_ns=now_ns):
            raise Refused(cause)
        self._check_seen(command, now_ns)
        if cause := self._owner.refusal(request):
            raise Refused(cause)
        if self._going >= UNDER_WAY:
            raise Conflict(f"{UNDER_WAY} commands are under way", code="busy", suggestion="wait until they ended")
        return await word.handler(request)

    async def _used(self, by: str) -> None:
        """It is done already, so that it cannot be refused any more."""
        try:
            await self._control.used(by)
        except CountingRoomError as error:
            _log.warning("%s: %s acted without being in control: %s", self._source, by, error.cause)

    def _check_time(self, command: Command, now_ns: int) -> None:
        if command.id in self._seen:
            raise Conflict(
                f"command {command.id} was given before",
                code="repeated",
                suggestion="its outcome is in the events; give a new command a new id",
            )
        self._seen[command.id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._check_late(command, now_ns)

    def _check_late(self, command: Command, now_ns: int) -> None:
        if now_ns > command.deadline_ns:
            raise Conflict(
                f"{command.action} came after its deadline",
                code="too_late",
                evidence={"late_s": (now_ns - command.deadline_ns) / 1e9},
                suggestion="give it again if it is still wanted; compare the clocks of the computers if this repeats",
            )

    def _check_seen(self, command: Command, now_ns: int) -> None:
        if command.seen_state is None:
            return
        if now_ns - command.issued_ns > SEEN_FOR_NS:
            raise Conflict(
                f"{command.action} was decided {(now_ns - command.issued_ns) / 1e9:.1f} s ago",
                code="too_old",
                suggestion="look at the present state and decide again",
            )
        if command.seen_state != self._owner.present:
            raise Conflict(
                f"{command.action} was decided in {command.seen_state}, but it is {self._owner.present} now",
                code="state_changed",
                evidence={"seen": command.seen_state, "state": self._owner.present},
                suggestion="look at the present state and decide again",
            )

    async def _see_through(
        self, request: CommandRequest, rest: Coroutine[Any, Any, Mapping[str, Scalar] | None]
    ) -> None:
        command, cause, data = request.command, None, None
        self._going += 1
        try:
            data = await rest
        except CountingRoomError as error:
            cause = self._sourced(error.cause)
        except asyncio.CancelledError:
            stopped = Cause(
                code="owner_stopped",
                message="its owner stopped; the outcome is not known",
                source=self._source,
                suggestion="look at the partition, then decide again",
            )
            self.ended(command.id, command.action, request.by, stopped)
            raise
        finally:
            self._going -= 1
        self.ended(command.id, command.action, request.by, cause, **(data or {}))

    def _refused(self, request: CommandRequest | None, by: str, cause: Cause) -> Cause:
        cause = self._sourced(cause)
        name = _named(request.command) if request else "a command"
        self.tell(
            EventKind.REFUSED,
            f"{name} refused: {cause.message}",
            by=by,
            command_id=request.command.id if request else "",
            action=request.command.action if request else "",
            cause=cause,
            data=_short(request.command.arguments, DATA_LETTERS) if request else None,
        )
        return cause

    def _sourced(self, cause: Cause) -> Cause:
        return cause if cause.source else msgspec.structs.replace(cause, source=self._source)


def _named(command: Command) -> str:
    arguments = _short(command.arguments, MESSAGE_LETTERS)
    given = ", ".join(f"{name} {value}" for name, value in arguments.items() if value not in (None, ""))
    return f"{command.action} ({given})" if given else command.action


def _short(arguments: Mapping[str, Scalar], letters: int) -> dict[str, Scalar]:
    """What is long is kept where it belongs, in the run book or among the configurations."""
    return {
        name: f"{value[:letters]}…" if isinstance(value, str) and len(value) > letters else value
        for name, value in arguments.items()
    }
