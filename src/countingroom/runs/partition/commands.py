"""The commands of a partition: each becomes a goal, a selection of configurations or an entry in the run book."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from uuid import uuid4

from countingroom.bus.ask import ask
from countingroom.bus.command_request import (
    ENDS_LATER,
    CommandHandler,
    CommandRequest,
    Completion,
    Handler,
    find_handler,
    from_rows,
)
from countingroom.core import subjects
from countingroom.core.clock import within
from countingroom.core.command_permissions import of_partition
from countingroom.core.commands.control import CONTROL_COMMANDS
from countingroom.core.commands.partition import PARTITION
from countingroom.core.errors import Cause, Conflict, DeviceError, NotFound, OutOfRange, Refused
from countingroom.core.messages import Command
from countingroom.core.partitions import Goal
from countingroom.core.policy import Permission
from countingroom.core.run_book import Run, RunEnd, RunLimit
from countingroom.core.systems import ERROR, Action, Answer, Order
from countingroom.core.times import duration
from countingroom.core.values import Scalar
from countingroom.runs.access.control_commands import control_commands
from countingroom.runs.owner_messages import ANSWER_S
from countingroom.runs.partition.configuration_selection import ConfigurationSelection
from countingroom.runs.partition.move_hold import MoveHold
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.run_lifecycle import RunLifecycle
from countingroom.runs.partition.run_numbers import limit_of, reserve_run_number
from countingroom.runs.partition.run_sequence import Sequence
from countingroom.runs.planner.legality import REASONS, next_state, refusal, refusals


class PartitionCommands:
    """Legality checks and handlers for the commands of one partition."""

    def __init__(
        self,
        owner: OwnerPort,
        life: RunLifecycle,
        selection: ConfigurationSelection,
        move_hold: MoveHold,
        sequence: Sequence,
    ) -> None:
        self._owner = owner
        self._life = life
        self._selection = selection
        self._move_hold = move_hold
        handlers: dict[str, Handler] = {
            "configure": self._configure,
            "configure_all": self._configure_all,
            "reconfigure": self._reconfigure,
            "goal": self._goal,
            "start": self._start,
            "repeat": self._repeat,
            "stop": self._stop,
            "abort": self._abort,
            "reset": self._reset,
            "include": partial(self._change, included=True),
            "exclude": partial(self._change, included=False),
            "lock": partial(self._set_lock, locked=True),
            "unlock": partial(self._set_lock, locked=False),
            "select": self._select,
            "select_one": self._select_one,
            "comment": self._comment,
            "flag": self._flag,
            **sequence.handlers,
            **control_commands(
                owner.control, partial(owner.context.principals.principal, target=subjects.partition_key(owner.name))
            ),
        }
        self.handlers: Mapping[str, CommandHandler] = from_rows(PARTITION, handlers, of_control=CONTROL_COMMANDS)

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self.handlers, command, self._owner.name)

    def permission(self, command: Command) -> Permission:
        return of_partition(command.action)

    def present(self, command: Command) -> str:
        return self._owner.partition.state

    async def settle(self) -> Mapping[str, int]:
        return await self._owner.settle()

    def refusal(self, request: CommandRequest) -> Cause | None:
        """The reason for a refusal in the present state; None when the command is allowed."""
        if cause := self._life.accepted.why_ended(request.command.id, self._owner.source):
            return cause
        action = request.command.action
        if action not in REASONS or action == "reconfigure":  # this one is checked against the latest parameters
            return None
        if action == "goal" and request.text("tag", ""):
            action = "select"  # the goal is checked after the selection, against the new configurations
        if (action == "stop" and self._is_starting()) or (action == "abort" and self._is_under_way()):
            return None
        return refusal(
            self._owner.upcoming(),
            action,
            system=request.text("system", ""),
            state="" if request.text("tag", "") else request.text("state", ""),
        )

    def shown(self) -> dict[str, Cause | None]:
        """What may be done now, as the partition shows it: command -> why not, None where it may."""
        found = refusals(self._owner.partition)
        if self._is_starting():
            found |= {"stop": None, "abort": None}
        return found

    def _is_starting(self) -> bool:
        """Whether a run will begin that the partition does not show yet."""
        return self._life.accepted.is_starting or self._life.open is not None

    def _is_under_way(self) -> bool:
        """Whether something will be done that the partition does not show yet."""
        return bool(self._life.accepted) or self._life.open is not None

    # Goals.

    async def _configure(self, request: CommandRequest) -> Completion:
        return self._want(request, next_state(self._owner.upcoming()))

    async def _configure_all(self, request: CommandRequest) -> Completion:
        partition = self._owner.upcoming()
        recording = partition.template.recording
        return self._want(request, recording if partition.state == recording else partition.template.top)

    async def _reconfigure(self, request: CommandRequest) -> Completion:
        asked = request.flag("while_recording")
        await self._selection.refresh()
        partition = self._owner.upcoming()
        if cause := refusal(partition, "reconfigure", while_recording=asked):
            raise Refused(cause)
        return self._want(request, partition.state, reconfigure=True)

    async def _goal(self, request: CommandRequest) -> Completion:
        template, state = self._owner.partition.template, request.text("state")
        if state not in template.rests:
            raise NotFound(
                f"{state} is not a stable state of {self._owner.name}",
                suggestion=f"choose one of {', '.join(template.rests)}",
            )
        limit = await limit_of(self._owner.context.bus, request)
        if tag := request.text("tag", ""):
            await self._selection.select_tag(tag, request.by)
            self._check_goal(state)
        if state == template.recording and not self._owner.upcoming().run:
            run = await self._reserved(request, limit, request.text("comment", ""))
            return self._want(request, state, run)
        return self._want(request, state)

    async def _start(self, request: CommandRequest) -> Completion:
        limit = await limit_of(self._owner.context.bus, request)
        run = await self._reserved(request, limit, request.text("comment", ""))
        return self._want(request, self._owner.partition.template.recording, run)

    async def _repeat(self, request: CommandRequest) -> Completion:
        state = self._owner.partition.template.recording
        last = await self._owner.context.database.runs.last(self._owner.name)
        if last is None:
            raise NotFound(f"{self._owner.name} has no earlier run", suggestion="start a run instead")
        comment = f"repeats run {last.number}"
        if await self._selection.select_as_in(last, request.by):
            self._check_goal(state)  # what differs is configured before the start
            run = await reserve_run_number(self._owner, self._life, request.by, last.limit, comment)
        else:
            run = await self._reserved(request, last.limit, comment)
        return self._want(request, state, run)

    def _check_goal(self, state: str) -> None:
        """Refused where this goal is not possible after a selection."""
        if cause := refusal(self._owner.upcoming(), "goal", state=state):
            raise Refused(cause)

    async def _stop(self, request: CommandRequest) -> Completion:
        self._life.accepted.end(request.by)
        return self._want(request, self._owner.partition.template.top, stop=True)

    async def _abort(self, request: CommandRequest) -> Completion:
        self._life.accepted.end(request.by)
        return self._want(request, self._owner.partition.template.idle, at_once=True)

    def _want(
        self,
        request: CommandRequest,
        state: str,
        run: Run | None = None,
        *,
        at_once: bool = False,
        stop: bool = False,
        reconfigure: bool = False,
    ) -> Completion:
        """Set the goal, unless a stop has come since the command was accepted; `run`: the reserved run for it."""
        if cause := self._life.accepted.why_ended(request.command.id, self._owner.source):
            if run:
                self._life.over(run.number, RunEnd.NEVER_STARTED, cause)
            raise Refused(cause)
        goal = Goal(
            state=state,
            requested_by=request.by,
            since_ns=self._owner.context.clock.now_ns(),
            command_id=request.command.id,
            at_once=at_once,
            stop=stop,
            reconfigure=reconfigure,
        )
        self._owner.goal(goal, request.command.action, run=run)
        return ENDS_LATER

    async def _reserved(self, request: CommandRequest, limit: RunLimit | None, comment: str) -> Run:
        """Reserve a run number. The state may change during the write to the database; when the command is then no
        longer allowed, the run is closed as never started."""
        run = await reserve_run_number(self._owner, self._life, request.by, limit, comment)
        if cause := self.refusal(request):
            self._life.over(run.number, RunEnd.NEVER_STARTED, cause)
            raise Refused(cause)
        return run

    # Single systems.

    async def _reset(self, request: CommandRequest) -> Completion:
        return self._reset_system(self._selection.member(request.text("system")))

    async def _reset_system(self, system: str) -> dict[str, Scalar]:
        owner = self._owner
        seconds = owner.partition.template.abort_s
        order = Order(
            id=f"{owner.name}-{uuid4().hex}",
            action=Action.RESET,
            partition=owner.name,
            fence=owner.lease.token,
            deadline_ns=owner.context.clock.now_ns() + round(seconds * 1e9),
            within_s=seconds,
        )
        answer = await ask(owner.context.bus, subjects.agent(system), order, Answer, timeout_s=ANSWER_S)
        if not answer.accepted:
            raise DeviceError(
                f"{system} refuses the reset",
                source=f"systems.{system}",
                causes=(answer.cause,) if answer.cause else (),
                suggestion=f"check {system}",
            )
        try:
            async with within(owner.context.clock, seconds):
                while owner.partition.seen[system].common == ERROR:
                    await owner.changed()
        except TimeoutError:
            raise DeviceError(
                f"{system} is still in Error {duration(seconds)} after the reset",
                code="not_in_time",
                source=f"systems.{system}",
                suggestion=f"check {system}",
            ) from None
        return {"system": system}

    async def _change(self, request: CommandRequest, *, included: bool) -> Completion:
        owner, system = self._owner, self._selection.member(request.text("system"))
        await owner.context.database.partitions.include(owner.name, system, included, request.by)
        kind = "include" if included else "exclude"
        owner.book.note(owner.partition.run, kind, f"{system} is {kind}d", author=request.by, system=system)
        await owner.reload_members()
        return None

    async def _set_lock(self, request: CommandRequest, *, locked: bool) -> Completion:
        await self._owner.context.database.partitions.lock(self._owner.name, locked, request.by)
        self._move_hold.lock(locked)
        return None

    # Selection of configurations.

    async def _select(self, request: CommandRequest) -> Completion:
        await self._selection.select_tag(request.text("tag"), request.by)
        return None

    async def _select_one(self, request: CommandRequest) -> Completion:
        await self._selection.select_one(
            self._selection.member(request.text("system")), request.text("tag"), request.by
        )
        return None

    # The run book.

    async def _comment(self, request: CommandRequest) -> Completion:
        text = request.text("text")
        number = self._number(request)
        await self._of_mine(number)
        stored = self._owner.book.note(number, "comment", text, author=request.by)
        # The comment is stored also when its requester does not wait any more.
        if stored and (cause := await asyncio.shield(stored)):
            raise Refused(cause)
        return None

    async def _flag(self, request: CommandRequest) -> Completion:
        number = self._number(request)
        await self._of_mine(number)
        await self._owner.context.database.runs.flag(number, request.text("quality", ""), request.by)
        return None

    def _number(self, request: CommandRequest) -> int:
        """The run number in the request; without one, the open run."""
        number = request.whole("run")
        if number is None and not self._owner.partition.run:
            raise OutOfRange("no run is open", code="missing_argument", suggestion="give the number of a run")
        return self._owner.partition.run if number is None else number

    async def _of_mine(self, number: int) -> None:
        run = await self._owner.context.database.runs.get(number)
        if run.partition != self._owner.name:
            raise Conflict(
                f"run {number} belongs to {run.partition}",
                suggestion=f"send the command to the partition {run.partition}",
            )
