"""Law: beside orders an agent hears people and programs that say what it cannot know, or act where nobody else can."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from uuid import uuid4

import msgspec

from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, LinkError, NotAllowed, NotFound, Refused, RequestError
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.core.systems import Action, Order, SystemKind
from countingroom.runs.agents import model
from countingroom.runs.agents.work import SystemWorker, WorkingAgent

WHO = "who"
"""Asked by another agent of the same system."""


class AgentCommands:
    """Answers commands to one system, and records what was said."""

    def __init__(
        self, owner: WorkingAgent, bus: Bus, clock: Clock, workers: Mapping[str, SystemWorker], place: str
    ) -> None:
        """`place`: where the agent runs, for people."""
        self._owner = owner
        self._bus = bus
        self._clock = clock
        self._workers = workers
        self._place = place

    async def answer(self, message: Message) -> bytes:
        source, user = f"systems.{self._owner.knows.system}", subjects.command_user(message.subject)
        try:
            command = decode(message.data, Command)
        except msgspec.DecodeError as error:
            cause = Cause(code="malformed", message=f"no command: {error}", source=source, suggestion="send a Command")
            return encode(Reply(id="", accepted=False, cause=cause))
        cause: Cause | None = None
        try:
            self._obey(command, user)
        except RequestError as error:
            cause = error.cause
        if command.action != WHO:
            with suppress(LinkError):  # the state that follows tells it too
                await self._record(command, user, cause)
        return encode(Reply(id=command.id, accepted=cause is None, cause=cause))

    async def _record(self, command: Command, user: str, cause: Cause | None) -> None:
        """Who said what, and that it is done: telling takes no time. An abort ends later, and its state says so."""
        told = {
            EventKind.REFUSED: f"{command.action} refused: {cause.message if cause else ''}",
            EventKind.COMMAND: command.action,
            EventKind.DONE: f"{command.action} done",
        }
        done = () if command.action in (Action.ABORT, Action.RESET) else (EventKind.DONE,)
        system = self._owner.knows.system
        for kind in (EventKind.REFUSED,) if cause else (EventKind.COMMAND, *done):
            event = Event(
                id=uuid4().hex,
                kind=kind,
                time_ns=self._clock.now_ns(),
                department="systems",
                source=system,
                message=told[kind],
                principal=user,
                command_id=command.id,
                action=command.action,
                cause=cause,
                data=command.arguments,
            )
            await self._bus.append(subjects.event("systems", system), encode(event), message_id=event.id)

    def _obey(self, command: Command, user: str) -> None:
        """What a person, or the system's own programs, say of it."""
        source = f"systems.{self._owner.knows.system}"
        if command.action == WHO:
            raise RequestError(
                f"the agent of {self._owner.knows.system} is {self._place}", source=source, code="already_running"
            )
        if command.deadline_ns <= self._clock.now_ns():
            raise RequestError("the command came after its deadline", source=source, code="late")
        if command.action in (Action.ABORT, Action.RESET):
            self._alone(command)
            return
        partition = str(command.arguments.get("partition", ""))
        text = str(command.arguments.get("message", "")) or f"{user} says so"
        refused: list[NotAllowed] = []
        workers = self._desks_of(partition)
        for worker in workers:
            try:
                match command.action:
                    case "error":
                        worker.error(
                            Cause(
                                code="reported",
                                message=text,
                                source=source,
                                evidence={"by": user},
                                suggestion="look at the system; say resolved when it is right",
                            )
                        )
                    case "resolved":
                        worker.resolved()
                    case _:
                        worker.instructed(command.action, command.arguments)
            except NotAllowed as error:
                refused.append(error)
        if refused and len(refused) == len(workers):
            raise refused[0]

    def _alone(self, command: Command) -> None:
        """Abort or reset a detector that is in no partition; in one, its partition is asked."""
        if self._owner.knows.kind is SystemKind.GLOBAL:
            raise RequestError(
                f"{self._owner.knows.system} serves partitions, each for itself",
                source=f"systems.{self._owner.knows.system}",
                suggestion=f"{command.action} it in a partition: partition {command.action} …",
            )
        order = Order(
            id=command.id,
            action=Action(command.action),
            partition=subjects.EXPERIMENT,
            fence=self._owner.knows.fences.get(subjects.EXPERIMENT, 0),
            deadline_ns=command.deadline_ns,
        )
        answer = self._owner.tell(model.Ordered(order=order))
        if answer and answer.cause:
            raise Refused(answer.cause)

    def _desks_of(self, partition: str) -> list[SystemWorker]:
        """The one of a partition; all of them where none is named."""
        if self._owner.knows.kind is SystemKind.DETECTOR or not partition:
            return list(self._workers.values())
        if partition not in self._workers:
            raise NotFound(
                f"{self._owner.knows.system} knows no partition {partition!r}",
                source=f"systems.{self._owner.knows.system}",
            )
        return [self._workers[partition]]
