"""Runs the actions of a system in one context, one at a time, and implements the handle of the system.

Work begins only after the earlier work has ended, also when that was cancelled and is still cleaning up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from countingroom.core.charts.chart import Chart
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, NotAllowed, NotFound
from countingroom.core.systems import Action, Answer, Order
from countingroom.core.values import Scalar
from countingroom.runs.agents import model
from countingroom.runs.agents.order_rules import SAFE
from countingroom.runs.agents.port import Factory, Recovery
from countingroom.runs.agents.saved_state import SavedState

_log = logging.getLogger(__name__)

_LEAST_S = 10.0
"""Time of a stop or an abort from a sender of an earlier version whose clock is behind."""


class WorkingAgent(Protocol):
    """The part of the agent that a worker uses."""

    @property
    def knows(self) -> model.AgentModel: ...
    @property
    def saved_state(self) -> SavedState: ...
    def tell(self, event: model.Event) -> Answer | None: ...


class SystemWorker:
    """Runs the system of one context."""

    def __init__(self, owner: WorkingAgent, at: str, factory: Factory, clock: Clock, group: asyncio.TaskGroup) -> None:
        self._owner = owner
        self._at = at
        self._clock = clock
        self._group = group
        self._order: Order | None = None
        self._configured: Order | None = None
        """The last order that gave it its configuration."""
        self._working: asyncio.Task[None] | None = None
        self._unfinished: set[asyncio.Task[None]] = set()
        """The present task, and cancelled tasks that have not ended yet."""
        self._living: asyncio.Task[None] | None = None
        self._has_failed_beside = False
        """Whether the background task of the system has raised."""
        self._next: model.Begin | None = None
        self._system = factory(self)

    # The handle.

    @property
    def system(self) -> str:
        return self._owner.knows.system

    @property
    def partition(self) -> str:
        context = self._owner.knows.contexts.get(self._at)
        return context.state.partition if context else self._at

    @property
    def chart(self) -> Chart:
        return self._owner.knows.chart

    @property
    def state(self) -> str:
        context = self._owner.knows.contexts.get(self._at)
        return context.state.state if context else self.chart.initial

    @property
    def common(self) -> str:
        return self.chart.to_common(self.state)

    @property
    def order(self) -> Order | None:
        return self._order

    @property
    def remembered(self) -> Recovery | None:
        return self._owner.saved_state.found(self._at)

    def error(self, cause: Cause | str) -> None:
        if isinstance(cause, str):
            cause = Cause(
                code="system_error",
                message=cause,
                source=f"systems.{self.system}",
                suggestion="look at the system, then reset it",
            )
        self._owner.tell(model.StateMoved(at=self._at, event="error", cause=cause))
        _log.warning("systems.%s: %s", self.system, cause)

    def resolved(self) -> None:
        self.follow("resolved")

    def follow(self, event: str) -> None:
        self._owner.tell(model.StateMoved(at=self._at, event=event))

    def comment(self, text: str) -> None:
        self._owner.tell(model.SystemReport(at=self._at, comment=text))

    def count(self, counters: Mapping[str, Scalar]) -> None:
        self._owner.tell(model.SystemReport(at=self._at, counters=counters))

    def version(self, text: str) -> None:
        self._owner.tell(model.Versioned(version=text))

    # The work.

    def open(self) -> None:
        """Start the background task of the system."""
        if self._living is None:
            self._living = self._group.create_task(self._live(), name=f"{self.system} lives")

    def close(self) -> None:
        """Cancel all tasks of the system."""
        for task in (self._working, self._living):
            if task:
                task.cancel()

    async def recover(self) -> Recovery | None:
        """The recovered state of the system; None when it fails to give one."""
        try:
            return await self._system.recover()
        # Code of a user: its fault must not end the agent, or the operator could not even reset the system.
        except Exception as error:
            _log.exception("systems.%s cannot say what it is doing: %s", self.system, error)
            return None

    def instructed(self, word: str, arguments: Mapping[str, Scalar]) -> None:
        """Pass a command to the system; NotFound when the system has no commands of its own."""
        instruct = getattr(self._system, "instruct", None)
        if instruct is None:
            raise NotFound(
                f"{self.system} has no command {word!r}",
                source=f"systems.{self.system}",
                suggestion="give one of error, resolved",
            )
        instruct(word, arguments)

    def begin(self, begin: model.Begin) -> None:
        """Begin this work after all cancelled work has ended."""
        self.open()
        if self._working and self._working is asyncio.current_task():
            self._next = begin
        else:
            self._working = self._group.create_task(self._work(begin, set(self._unfinished)))
            self._unfinished.add(self._working)
            self._working.add_done_callback(self._unfinished.discard)

    def kill(self) -> None:
        """Cancel the work under way."""
        self._next = None
        if self._working:
            self._working.cancel()

    async def _work(self, begin: model.Begin, before: set[asyncio.Task[None]]) -> None:
        bell = self._group.create_task(self._ring(begin.task.order))
        try:
            if before:
                await asyncio.wait(before)
            following: model.Begin | None = begin
            while following:
                self._next = None
                cause = await self._do(following)
                self._owner.tell(model.Ended(at=self._at, ticket=following.task.ticket, cause=cause))
                following = self._next
        finally:
            bell.cancel()

    async def _ring(self, order: Order) -> None:
        left_s = (order.deadline_ns - self._clock.now_ns()) / 1e9
        await self._clock.sleep(order.within_s or max(left_s, _LEAST_S if order.action in SAFE else 0.0))
        self._owner.tell(model.Overdue(at=self._at, order=order.id))

    async def _do(self, begin: model.Begin) -> Cause | None:
        order = begin.task.order
        if order.action is Action.CONFIGURE:
            self._configured = order
        elif (
            order.action is not Action.RECONFIGURE and not order.tag and self._configured
        ):  # the order names none; the system has that of its last configure
            order = replace(order, tag=self._configured.tag, parameters=self._configured.parameters)
        self._order = order
        try:
            match order.action:
                case Action.CONFIGURE:
                    self._live_again()
                    await self._system.configure(begin.task.step, order.parameters)
                case Action.RECONFIGURE:
                    await self._system.reconfigure(order.parameters)
                    self._configured = order
                case Action.START:
                    await self._system.start(order.run)
                case Action.STOP:
                    await self._system.stop()
                case Action.ABORT:
                    await self._system.abort()
                case Action.RESET:
                    await self._system.reset()
                    self._live_again()
        except CountingRoomError as error:
            return error.cause
        except Exception as error:
            what = begin.task.step or order.action.value
            _log.exception("systems.%s failed in %s", self.system, what)
            return Cause(
                code="system_failed",
                message=f"{self.system} failed in {what}: {type(error).__name__}: {error}",
                source=f"systems.{self.system}",
                suggestion=f"see the log of the agent of {self.system}",
            )
        return None

    def _live_again(self) -> None:
        """Start the background task again where it has raised. A table may have no way to Error from the state in which
        it did, and then there is no reset; so this is done at a configure as well."""
        if self._has_failed_beside:
            self._has_failed_beside = False
            self._living = None
            self.open()

    async def _live(self) -> None:
        try:
            await self._system.live()
        except Exception as error:
            self._has_failed_beside = True
            _log.exception("systems.%s: what runs beside it failed", self.system)
            message = f"what runs beside {self.system} failed: {type(error).__name__}: {error}"
            try:
                self.error(message)
            except NotAllowed as refused:
                self.comment(message)  # a state from which its table has no way to Error
                _log.warning("systems.%s: %s", self.system, refused.cause)
