"""Sends stop and abort to the systems themselves while their partition has no owner that answers.

The command is handed to the owner as soon as there is one again: a new owner continues towards the goal that the
partition had, and would otherwise undo the stop.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
from msgspec import Struct

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus
from countingroom.bus.publisher import append_event
from countingroom.console.command_client import send
from countingroom.console.present.latest import Latest
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.commands.partition import DIRECT
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.messages import Command, Event, EventKind, MessageDecoder
from countingroom.core.partitions import Goal, MemberState, PartitionState
from countingroom.core.systems import RECORDING, Answer, Order, SystemState

ANSWER_S = 2.0
"""An agent answers at once."""
WITHIN_S = 120.0
"""Time for the transition of a system. The template, which has one for each level, is known to the owner alone."""
_HAND_OVER_S = 300.0
"""For so long after it was given, a command is handed to a new owner."""
_AGAIN_S = 0.5
_EVENT_S = 1.0
_answers = MessageDecoder(Answer)


class DirectResult(Struct, frozen=True, kw_only=True):
    """What the systems answered."""

    message: str
    """The same as one sentence."""
    accepted: tuple[str, ...]
    refused: dict[str, Cause]
    """System -> why it did not accept the order."""


class _Waiting(Struct, frozen=True, kw_only=True):
    """A command that waits for an owner."""

    command: Command
    user: str
    goal: Goal | None
    """Of the partition when the command was given."""
    until_s: float
    """On the monotonic clock."""


def _id(goal: Goal) -> tuple[str, int]:
    return goal.command_id, goal.since_ns


class DirectOrders:
    """Orders of the console to systems. `run` hands the commands to the owners that come back."""

    def __init__(self, bus: Bus, clock: Clock, latest: Latest) -> None:
        self._bus = bus
        self._clock = clock
        self._latest = latest
        self._open: dict[str, _Waiting] = {}
        self._added = asyncio.Event()

    @property
    def waiting(self) -> frozenset[str]:
        """The partitions with a command that waits for an owner."""
        return frozenset(self._open)

    async def send(self, state: PartitionState, command: Command, *, user: str, why: LinkError) -> DirectResult:
        """Send the order to every member that it concerns: an abort to all that are included, a stop to those that
        record. LinkError `why` when no system accepts it."""
        systems = [one.system for one in state.members if one.included and self._concerns(state, one, command.action)]
        answers = await asyncio.gather(*(self._order(one, state.partition, command, user) for one in systems))
        accepted = [name for name, cause in zip(systems, answers, strict=True) if cause is None]
        refused = {name: cause for name, cause in zip(systems, answers, strict=True) if cause}
        told = f"{command.action} was sent to {', '.join(accepted)} directly" if accepted else "no system records"
        told = f"no owner of {state.partition} answered; {told}"
        told += f"; not accepted by {', '.join(refused)}" if refused else ""
        result = DirectResult(message=told, accepted=tuple(accepted), refused=refused)
        if systems and not accepted:
            raise LinkError(
                f"{why.cause.message}; none of its systems accepted it either",
                code=why.cause.code,
                source=why.cause.source,
                evidence={**why.cause.evidence, "systems": ", ".join(systems)},
                suggestion=why.cause.suggestion,
                causes=(*why.cause.causes, *refused.values()),
            ) from why
        # The last command of a partition counts.
        self._open[state.partition] = _Waiting(
            command=command, user=user, goal=state.goal, until_s=self._clock.monotonic() + _HAND_OVER_S
        )
        self._added.set()
        await self._tell(state.partition, command, user, result)
        return result

    async def run(self) -> None:
        """Hand each command to the owner of its partition once there is one."""
        while True:
            await self._added.wait()
            await self._clock.sleep(_AGAIN_S)
            for partition, waiting in list(self._open.items()):
                if await self._is_over(partition, waiting) and self._open[partition] is waiting:
                    del self._open[partition]
            if not self._open:
                self._added.clear()

    def _concerns(self, state: PartitionState, member: MemberState, action: str) -> bool:
        if action == "abort":
            return True
        for key in (subjects.system_key(member.system, state.partition), subjects.system_key(member.system)):
            own = self._latest.words.get(key)
            if isinstance(own, SystemState) and own.partition == state.partition:
                return own.common == RECORDING
        return member.seen == RECORDING

    async def _order(self, system: str, partition: str, command: Command, user: str) -> Cause | None:
        """Order one system; why it did not accept."""
        order = Order(
            id=f"{command.id}.{system}",
            action=DIRECT[command.action],
            partition=partition,
            fence=0,
            deadline_ns=self._clock.now_ns() + round(WITHIN_S * 1e9),
            within_s=WITHIN_S,
            requested_by=user,
        )
        try:
            answer = await ask(self._bus, subjects.agent(system), order, _answers, timeout_s=ANSWER_S)
        except CountingRoomError as error:
            return error.cause
        if answer.accepted:
            return None
        return answer.cause or Cause(
            code="refused",
            message=f"{system} refused the order and gave no reason",
            source=f"systems.{system}",
            suggestion=f"look at the state of {system}",
        )

    async def _is_over(self, partition: str, waiting: _Waiting) -> bool:
        """Whether the command is handed over, outdated, or too old."""
        state = self._latest.words.get(subjects.partition_key(partition))
        goal = state.goal if isinstance(state, PartitionState) else None
        if goal and not (waiting.goal and _id(goal) == _id(waiting.goal)):
            return True  # a later command has set another goal
        now_ns = self._clock.now_ns()
        if self._clock.monotonic() > waiting.until_s:
            return True
        # As if given now: the state that the page saw, and its times, must not refuse it.
        command = msgspec.structs.replace(
            waiting.command,
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            age_s=0.0,
            seen_state=None,
        )
        try:
            await send(self._bus, self._clock, "runs", partition, command, user=waiting.user)
        except LinkError:
            return False
        return True

    async def _tell(self, partition: str, command: Command, user: str, result: DirectResult) -> None:
        event = Event(
            id=uuid4().hex,
            kind=EventKind.NOTE,
            time_ns=self._clock.now_ns(),
            department="runs",
            source=partition,
            message=result.message,
            severity=2 if result.refused else 3,
            principal=user,
            command_id=command.id,
            action=command.action,
            cause=next(iter(result.refused.values()), None),
        )
        try:
            async with within(self._clock, _EVENT_S):
                await append_event(self._bus, event)
        except (CountingRoomError, TimeoutError):
            return  # the audit has the command; a full disk must not delay it
