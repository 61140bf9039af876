"""The agent of a system: it feeds events to `step` and carries out the effects. All decisions are in `step`.

A transition never waits for the bus: the latest state of each context is published in the background. While the bus is
not reached, the system continues, and the latest states are published after the reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from countingroom.bus.ask import ask
from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus, Message
from countingroom.bus.presence import INSTANCE_VARIABLE
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.charts.chart import Chart
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Conflict, LinkError
from countingroom.core.messages import Command, MessageDecoder, Presence, Reply, encode
from countingroom.core.systems import ACTIVE, RECORDING, Action, Answer, Order, SystemKind, SystemState
from countingroom.runs.agents import model
from countingroom.runs.agents.commands import WHO, AgentCommands
from countingroom.runs.agents.order_rules import refusal
from countingroom.runs.agents.placement import Directory
from countingroom.runs.agents.port import Factory, Recovery
from countingroom.runs.agents.saved_state import SavedState
from countingroom.runs.agents.state_publisher import AgentStatePublisher
from countingroom.runs.agents.step import at_of, born, contexts_for, step
from countingroom.runs.agents.work import SystemWorker

_log = logging.getLogger(__name__)

BEAT_S = 0.5
"""Interval of heartbeats."""
_BEATS_PER_S = 10
"""Heartbeats go out at multiples of 0.1 s. Those of the agents of one process so go out together, and wake the server
and run control once. Not all at once: a process may have thousands of agents."""
WHO_S = 1.0
"""Time in which another agent of the same system must answer, once the server has passed the question on."""
_orders = MessageDecoder(Order)
_MOST_S = 10.0
"""Time-out of the question, with the time until the server has passed it on."""


class AgentRunner:
    """Runs the agent of one system. `bus` is its own connection, named `subjects.connection(name, boot)`."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        name: str,
        kind: SystemKind,
        chart: Chart,
        factory: Factory,
        *,
        boot: str = "",
        version: str = "",
        directory: Directory | None = None,
        memory: Path | None = None,
        beats: bool = True,
    ) -> None:
        """`memory`: folder of the saved state, for the next process of this agent. `beats`: False for one of many
        agents of a process, which sends one heartbeat for all of them."""
        self._bus = bus
        self._clock = clock
        self._beats = beats
        self._factory = factory
        self._agent = born(name, kind, chart, boot=boot or uuid4().hex, version=version)
        self.serves = False
        """Whether it is the agent of its system: it has told its state and takes orders."""
        self._own_directory = directory is None
        self._directory = directory or Directory(bus, clock)
        self.saved_state = SavedState(memory, name)
        self._workers: dict[str, SystemWorker] = {}
        self._states = AgentStatePublisher(bus, clock, name, self._state, self._keep)
        self._replaced = asyncio.Event()
        self._group: asyncio.TaskGroup
        self._beat = self._presence()
        place = f"process {self._beat.pid} on {self._beat.host}"
        self._changes: set[asyncio.Event] = set()
        self._publisher = Publisher(bus, clock, f"systems.{name}")
        commands = AgentCommands(self, self._workers, place)
        self._command_server = CommandServer(bus, clock, "systems", name, commands, self._publisher)

    @property
    def name(self) -> str:
        return self._agent.system

    @property
    def knows(self) -> model.AgentModel:
        """The present model of the agent."""
        return self._agent

    async def run(self, entered: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled. Then cancel work, let a recording continue, and send a last heartbeat.

        `entered` is called when it is known that no other agent of its system runs.
        """
        self._bus.on_link(self._linked)
        await self._directory.refresh()
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._be_the_only_one()
                entered()
                await self._place()
                self._group.create_task(self._states.run())
                self._group.create_task(self._publisher.run())
                self._group.create_task(self._follow())
                if self._own_directory:
                    self._group.create_task(self._directory.run())
                async with (
                    self._bus.respond(subjects.agent(self.name), self._order),
                    self._command_server.serving(),
                ):
                    # The first heartbeat follows the first report. A heartbeat before it made a partition act on the
                    # last state of a killed predecessor.
                    await self._states.said_all()
                    self.serves = True
                    await self._live()
        finally:
            self.serves = False
            await self._publisher.drain()
            with suppress(LinkError):
                await self._bus.publish(subjects.pulse(self.name), encode(self._presence(leaving=True)))

    async def _be_the_only_one(self) -> None:
        """Raise Conflict when an agent of this system is running already, even one that does not answer; LinkError
        when the server does not answer."""
        asking = asyncio.create_task(self._ask_who())
        try:
            await asyncio.sleep(0)  # sends the question
            # A busy server says late that there is no other agent, and its silence once counted as one. It handles the
            # requests of a connection in their order: with the answer to this one, that word has come too.
            try:
                await self._bus.get(subjects.STATE_BUCKET, subjects.system_key(self.name))
            except LinkError as error:
                if error.cause.code == "no_answer":
                    raise
            try:
                async with within(self._clock, WHO_S):
                    answer = await asking
            except TimeoutError:
                answer = Reply(id="", accepted=False)
        finally:
            asking.cancel()
        if answer:
            raise Conflict(
                f"{self.name} has an agent already",
                source=f"systems.{self.name}",
                code="already_running",
                suggestion="end that one first, or leave it",
                causes=(answer.cause,) if answer.cause else (),
            )

    async def _ask_who(self) -> Reply | None:
        """The answer of another agent of this system; None when there is none."""
        now_ns = self._clock.now_ns()
        question = Command(
            id=self._agent.boot,
            action=WHO,
            issued_ns=now_ns,
            deadline_ns=now_ns + round(_MOST_S * 1e9),
            within_s=_MOST_S,
        )
        where = subjects.command("agents", "systems", self.name)
        try:
            return await ask(self._bus, where, question, Reply, timeout_s=_MOST_S)
        except LinkError as error:
            if error.cause.code not in ("no_answer", "nonsense"):
                return None
            return Reply(id="", accepted=False, cause=error.cause)

    # Orders from the bus.

    async def _order(self, message: Message) -> bytes:
        try:
            order = _orders.decode(message.data)
        except msgspec.DecodeError as error:
            cause = malformed("an order", error, f"systems.{self.name}")
            return encode(Answer(id="", accepted=False, cause=cause))
        if order.within_s > 0:  # from here on the deadline is one of this clock
            here_ns = self._clock.now_ns() + round(order.within_s * 1e9)
            order = msgspec.structs.replace(order, deadline_ns=here_ns)
        cause = refusal(self._agent, order)
        if cause and cause.code in ("unknown_partition", "not_mine"):
            # The placement known here may be outdated, so it is read again before the order is refused.
            await self._directory.refresh()
            await self._place()
        answer = self.tell(model.Ordered(order=order))
        if answer is None:
            raise RuntimeError(f"order {order.id} was not answered")
        context = self._agent.contexts.get(at_of(self._agent, order.partition))
        if answer.accepted and context and context.task:
            await asyncio.sleep(0)  # work that needs no waiting ends here, so the answer has the new state
            context = self._agent.contexts.get(at_of(self._agent, order.partition))
            answer = msgspec.structs.replace(answer, state=context.state if context else None)
        if answer.cause:
            _log.info("systems.%s: %s refused: %s", self.name, order.action.value, answer.cause)
        return encode(answer)

    # Effects of the reducer.

    def tell(self, event: model.Event) -> Answer | None:
        """Process an event and carry out its effects; returns the answer when the event is an order."""
        self._agent, effects = step(self._agent, event, now_ns=self._clock.now_ns())
        answer: Answer | None = None
        for effect in effects:
            match effect:
                case model.Publish(at=at):
                    if not self._rests(at):
                        self.saved_state.forget(at)
                    self._states.changed(at)
                case model.Begin(at=at):
                    self._worker(at).begin(effect)
                case model.Kill(at=at):
                    self._worker(at).kill()
                case model.Forget(at=at):
                    self.saved_state.forget(at)
                    self._states.changed(at)
                    self._worker(at).close()
                    del self._workers[at]
                case model.AnswerOrder():
                    answer = effect.answer
        for change in self._changes:
            change.set()
        return answer

    async def changed(self) -> None:
        """Return after the next event."""
        change = asyncio.Event()
        self._changes.add(change)
        try:
            await change.wait()
        finally:
            self._changes.discard(change)

    async def settle(self) -> Mapping[str, int]:
        """Wait until the present states are published; returns their revision in the state bucket."""
        await self._states.said_all()
        return {"state": self._states.revision}

    def _rests(self, at: str) -> bool:
        """Whether the next agent can find it so: it is at rest, or its parameters are changed in place."""
        context = self._agent.contexts[at]
        is_changed = context.task is not None and context.task.order.action is Action.RECONFIGURE
        return (context.task is None or is_changed) and context.state.common in (ACTIVE, RECORDING)

    def _worker(self, at: str) -> SystemWorker:
        if at not in self._workers:
            self._workers[at] = SystemWorker(self, at, self._factory, self._clock, self._group)
        return self._workers[at]

    # Placement of detectors in partitions.

    async def _follow(self) -> None:
        with self._directory.followed(self._replaced.set):
            while True:
                await self._place()
                await self._replaced.wait()
                self._replaced.clear()

    async def _place(self) -> None:
        """Create and remove contexts after a change of the placement. A new context starts in the recovered state."""
        placement = self._directory.present
        found: dict[str, Recovery] = {}
        for at in contexts_for(self._agent, placement):
            if at not in self._agent.contexts and (recovery := await self._worker(at).recover()):
                found[at] = recovery
        if placement == self._directory.present:
            self.tell(model.Placed(placement=placement, found=found))
            for at in self._agent.contexts:
                self._worker(at).open()

    # States and heartbeats to the bus.

    def _state(self, at: str) -> SystemState | None:
        """The state to publish; None for a removed context. A recording is saved before its state is published."""
        if at not in self._agent.contexts:
            return None
        state = self._agent.contexts[at].state
        if state.common == RECORDING:
            self._keep(at)
        return state

    def _keep(self, at: str) -> None:
        if at in self._agent.contexts and self._rests(at):
            self.saved_state.keep(at, _rest(self._agent.contexts[at]))

    def _linked(self, up: bool) -> None:
        if up:
            for at in self._agent.contexts:
                self._states.changed(at)

    @property
    def is_reached(self) -> bool:
        """Whether it serves, over a connection that is up."""
        return self.serves and self._bus.connected

    async def beat(self) -> None:
        """Publish a heartbeat of this agent."""
        with suppress(LinkError):  # the failure detector notices the missing heartbeats
            presence = msgspec.structs.replace(self._beat, sent_ns=self._clock.now_ns())
            await self._bus.publish(subjects.pulse(self.name), encode(presence))

    async def _live(self) -> None:
        await self.beat()
        if not self._beats:
            await asyncio.Event().wait()
        while True:
            await self._clock.sleep(beat_pause_s(self._clock.monotonic()))
            await self.beat()

    def _presence(self, *, leaving: bool = False) -> Presence:
        return Presence(
            role="agent",
            instance=self.name,
            boot=self._agent.boot,
            host=socket.gethostname(),
            pid=os.getpid(),
            interval_s=BEAT_S,
            sent_ns=self._clock.now_ns(),
            leaving=leaving,
            targets=(self.name,),
            service=os.environ.get(INSTANCE_VARIABLE, ""),
        )


def beat_pause_s(now_s: float) -> float:
    """Time until the next heartbeat: BEAT_S, or up to 0.1 s less."""
    return math.floor((now_s + BEAT_S) * _BEATS_PER_S + 1e-6) / _BEATS_PER_S - now_s


def _rest(context: model.Context) -> Recovery:
    state = context.state
    return Recovery(
        state=state.state,
        tag=state.tag,
        key=state.key if context.task is None else "",  # during a change in place it is not known which parameters hold
        base=state.base,
        run=state.run,
        last_run=state.last_run,
        since_ns=state.since_ns,
    )
