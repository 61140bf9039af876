"""The reload as `up` serves it: the command, the question for the plan, and the state that tells the version."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from countingroom.app.child_process import Launch
from countingroom.app.reload import in_force
from countingroom.app.reload.candidate import CandidateQuestion, ReloadCandidate, candidate
from countingroom.app.reload.in_force import SavedDescription
from countingroom.app.reload.reloader import ANSWER_S, Reloaded, Reloader
from countingroom.app.reload.situation import situation
from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, find_handler, from_rows
from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import command_permissions, subjects
from countingroom.core.clock import Clock
from countingroom.core.commands.description import DESCRIPTION
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.messages import Command, EventKind, encode
from countingroom.core.policy import Permission
from countingroom.core.reload.content import ReloadContent
from countingroom.core.reload.messages import (
    DEPARTMENT,
    QUERY,
    STATE_KEY,
    TARGET,
    DescriptionInForce,
    ReloadOrder,
    ReloadReply,
)
from countingroom.core.reload.plan import ReloadPlan
from countingroom.core.reload.refusals import ReloadSituation
from countingroom.core.series import QueryRefusal
from countingroom.core.values import Scalar

_log = logging.getLogger(__name__)

LATER_S = 1.0
"""The console restarts this time after the end of the command, so that it can still send the result."""
_LONGEST = 4000


class ReloadChild(Protocol):
    """A supervised process."""

    async def ask(self, order: ReloadOrder, within_s: float) -> ReloadReply: ...
    async def restart(self) -> None: ...


class UpReload:
    """Serves the reload until cancelled; the parts that `Reloader` needs of `up`."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        children: Mapping[str, ReloadChild],
        launch: Launch,
        question: CandidateQuestion,
        data: Path,
        started: ReloadContent,
        *,
        simulated: Callable[[Mapping[str, Any], Collection[str]], None],
    ) -> None:
        """`started`: of the description at the start. `simulated`: is given the keys of devices that are
        simulated anew, and all devices."""
        self._bus = bus
        self._clock = clock
        self._children = children
        self._launch = launch
        self._question = question
        self._data = data
        self._simulated = simulated
        self.file = ""
        """Of the description that was reloaded, for processes that start from now on; empty: none was."""
        self._publisher = Publisher(bus, clock, DEPARTMENT)
        kept = in_force.read(data)
        if kept is None or kept.digest != started.digest:
            version = kept.version + 1 if kept else 1
            kept = SavedDescription(version=version, digest=started.digest, since_ns=clock.now_ns())
            try:  # so that no other description gets this version
                in_force.write(data, kept)
            except OSError as error:
                _log.warning("the version of the description cannot be kept: %s", error)
        self._reloader = Reloader(self, clock, started, kept)
        self.running: dict[str, int] = dict.fromkeys(children, kept.version)
        self._given: dict[str, int] = {}
        """Process -> the version that its present or coming start was given."""
        self._handlers = from_rows(DESCRIPTION, {"reload": self._reload})
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = CommandServer(bus, clock, DEPARTMENT, TARGET, self, self._publisher)

    async def run(self) -> None:
        """Until cancelled."""
        self.publish(self._reloader.state)
        async with (
            self._bus.respond(subjects.query(DEPARTMENT, QUERY), self._answer, concurrency=1),
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._publisher.run())
            group.create_task(self._server.run())

    def given(self, process: str) -> str:
        """The file of the description for a process that starts now; empty: that of the start of `up`."""
        self._given[process] = self._reloader.state.version
        return self.file

    def started(self, process: str) -> None:
        """A process is ready that was started again."""
        version = self._given.get(process)
        if version is not None and version != self.running.get(process):
            self.taken(process, version)
            self.publish(self._reloader.state)

    # CommandTarget.

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, TARGET)

    def permission(self, command: Command) -> Permission:
        return command_permissions.of_description(command.action)

    def present(self, command: Command) -> str:
        return str(self._reloader.state.version)

    def refusal(self, request: CommandRequest) -> Cause | None:
        return None

    async def settle(self) -> Mapping[str, int]:
        await self._publisher.flush()
        return {"state": self._publisher.revision}

    async def _reload(self, request: CommandRequest) -> Completion:
        return self._done(request)

    @property
    def state(self) -> DescriptionInForce:
        """The description in force, and which processes have it."""
        return self._reloader.state

    async def reload(self, by: str, digest: str = "") -> Reloaded:
        """As `Reloader.reload`; a process that carries the request itself is started again later."""
        done = await self._reloader.reload(by, digest)
        for process in done.later:
            task = asyncio.create_task(self._restart_later(process), name=f"restart of {process}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return done

    async def _done(self, request: CommandRequest) -> Mapping[str, Scalar]:
        return _told(await self.reload(request.by, request.text("digest", "")))

    async def _restart_later(self, process: str) -> None:
        await self._clock.sleep(LATER_S)
        try:
            await self.restart(process)
        except LinkError as error:
            self._server.record(EventKind.NOTE, error.cause.message, cause=error.cause, severity=2)
        self.publish(self._reloader.state)

    async def _answer(self, message: Message) -> bytes:
        try:
            return encode(await self._reloader.answer())
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))

    # ReloadParts.

    async def candidate(self) -> ReloadCandidate:
        return await candidate(self._launch, self._question)

    async def situation(self) -> ReloadSituation:
        return await situation(self._bus, self._clock)

    async def ask(self, process: str, order: ReloadOrder) -> ReloadReply:
        return await self._children[process].ask(order, ANSWER_S)

    async def restart(self, process: str) -> None:
        await self._children[process].restart()

    def save(self, saved: SavedDescription) -> None:
        self.file = str(in_force.write(self._data, saved))

    def simulated(self, overrides: Mapping[str, Any], devices: Collection[str]) -> None:
        self._simulated(overrides, devices)

    def taken(self, process: str, version: int) -> None:
        self.running[process] = version

    def publish(self, state: DescriptionInForce) -> None:
        self._publisher.state(STATE_KEY, state)


def _told(done: Reloaded) -> dict[str, Scalar]:
    """The data of the closing event: the difference, for the record."""
    found: dict[str, Scalar] = {"version": done.version, "changes": difference(done.plan) or "none"}
    if done.plan.restarts:
        found["restarted"] = ", ".join(done.plan.restarts)
    if done.troubles:
        found["troubles"] = "; ".join(done.troubles)
    return found


def difference(plan: ReloadPlan) -> str:
    """All changes in one text: `devices.caen changed (poll: 1 → 2)`."""
    parts: list[str] = []
    for one in plan.changes:
        keys = ", ".join(
            f"{key.key and key.key + ': '}{key.before or 'none'} → {key.after or 'none'}" for key in one.keys
        )
        parts.append(f"{one.path} {one.action.value}{f' ({keys})' if keys else ''}")
    text = "; ".join(parts)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
