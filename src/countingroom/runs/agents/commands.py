"""Commands to the agent of a system: reports of users and programs, and abort and reset of an unmapped detector.

`error` and `resolved` report faults that the agent cannot detect; any other command is passed to the system itself. A
mapped detector and a global system are aborted and reset only by their partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec.structs import replace

from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, find_handler
from countingroom.core import subjects
from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.command_permissions import of_system
from countingroom.core.commands.system import SYSTEM
from countingroom.core.errors import Cause, DeviceError, NotAllowed, NotFound, Refused, RequestError
from countingroom.core.messages import Command
from countingroom.core.policy import Permission
from countingroom.core.systems import ERROR, Action, Order, SystemKind
from countingroom.runs.agents import model
from countingroom.runs.agents.work import SystemWorker, WorkingAgent

WHO = "who"
"""Action by which a new agent asks whether an agent of the same system is running already."""


class CommandedAgent(WorkingAgent, Protocol):
    """The part of the agent that the commands use."""

    async def changed(self) -> None:
        """Return after the next event."""
        ...

    async def settle(self) -> Mapping[str, int]:
        """Wait until the present states are published; returns their revision in the state bucket."""
        ...


class AgentCommands:
    """Permissions, legality and handlers of the commands to one system."""

    def __init__(self, owner: CommandedAgent, workers: Mapping[str, SystemWorker], place: str) -> None:
        """`place`: process and host of the agent, for messages."""
        self._owner = owner
        self._workers = workers
        self._place = place
        self._system = owner.knows.system
        self._source = f"systems.{self._system}"
        self._handlers = {
            "error": CommandHandler(self._error, takes=SYSTEM["error"].takes),
            "resolved": CommandHandler(self._resolved, takes=SYSTEM["resolved"].takes),
            "abort": CommandHandler(self._alone, takes=None),
            "reset": CommandHandler(self._alone, takes=None),
            WHO: CommandHandler(self._who, takes=None, recorded=False),
        }

    def handler(self, command: Command) -> CommandHandler:
        if command.action not in self._handlers:
            return CommandHandler(self._instruct, takes=None)
        return find_handler(self._handlers, command, self._system)

    def permission(self, command: Command) -> Permission:
        return of_system(command.action)

    def present(self, command: Command) -> str:
        """The state in the named partition; without a name, the states in all partitions."""
        return ", ".join(sorted({worker.state for worker in self._workers_of(command)}))

    def refusal(self, request: CommandRequest) -> Cause | None:
        """None: legality is decided by the state table, in the handlers."""
        return None

    async def settle(self) -> Mapping[str, int]:
        return await self._owner.settle()

    async def _who(self, request: CommandRequest) -> Completion:
        raise RequestError(f"the agent of {self._system} is {self._place}", code="already_running")

    async def _error(self, request: CommandRequest) -> Completion:
        cause = Cause(
            code="reported",
            message=request.text("message", f"{request.by} says so"),
            source=self._source,
            evidence={"by": request.by},
            suggestion="look at the system; say resolved when it is right",
        )
        self._report(request, lambda worker: worker.error(cause), lambda worker: worker.common == ERROR)

    async def _resolved(self, request: CommandRequest) -> Completion:
        self._report(request, lambda worker: worker.resolved(), lambda worker: worker.common != ERROR)

    async def _instruct(self, request: CommandRequest) -> Completion:
        command = request.command
        self._report(request, lambda worker: worker.instructed(command.action, command.arguments), lambda _: False)

    def _report(
        self, request: CommandRequest, act: Callable[[SystemWorker], None], is_so: Callable[[SystemWorker], bool]
    ) -> None:
        """Call `act` on each addressed worker; Refused when the state table allows it for none of them."""
        workers = self._workers_of(request.command)
        refused: list[NotAllowed] = []
        for worker in workers:
            try:
                act(worker)
            except NotAllowed as error:
                refused.append(error)
        if not refused or len(refused) < len(workers):
            return
        if all(is_so(worker) for worker in workers):
            raise Refused(self._nothing_to_do())
        raise Refused(replace(refused[0].cause, source=self._source))

    async def _alone(self, request: CommandRequest) -> Completion:
        """Abort or reset an unmapped detector."""
        knows, action = self._owner.knows, Action(request.command.action)
        if knows.kind is SystemKind.GLOBAL:
            raise RequestError(
                f"{self._system} serves partitions, each for itself",
                suggestion=f"{action.value} it in a partition: partition {action.value} …",
            )
        order = Order(
            id=request.command.id,
            action=action,
            partition=subjects.EXPERIMENT,
            fence=knows.fences.get(subjects.EXPERIMENT, 0),
            deadline_ns=request.command.deadline_ns,
            within_s=max(0.1, (request.command.deadline_ns - request.command.issued_ns) / 1e9),
        )
        answer = self._owner.tell(model.Ordered(order=order))
        if answer and answer.cause:
            raise Refused(answer.cause)
        task = self._owner.knows.contexts[""].task
        if task is None:
            raise Refused(self._nothing_to_do())
        return self._until_over(action, task.ticket)

    async def _until_over(self, action: Action, ticket: int) -> None:
        """Wait for the end of the work. The work has its own deadline."""
        context = self._owner.knows.contexts[""]
        while context.task and context.task.ticket == ticket:
            await self._owner.changed()
            context = self._owner.knows.contexts[""]
        if context.state.cause:
            raise DeviceError(
                f"{self._system} did not {action.value}",
                causes=(context.state.cause,),
                suggestion=f"look at {self._system}",
            )

    def _nothing_to_do(self) -> Cause:
        states = ", ".join(sorted({worker.state for worker in self._workers.values()}))
        message = f"{self._system} is {states}"
        return Cause(code=NOTHING_TO_DO, message=message, source=self._source, suggestion="nothing")

    def _workers_of(self, command: Command) -> list[SystemWorker]:
        """The worker of the named partition; without a name, all workers."""
        partition = str(command.arguments.get("partition") or "")
        if self._owner.knows.kind is SystemKind.DETECTOR or not partition:
            return list(self._workers.values())
        if partition not in self._workers:
            known = ", ".join(self._workers)
            raise NotFound(f"{self._system} has no partition {partition!r}", suggestion=f"choose one of {known}")
        return [self._workers[partition]]
