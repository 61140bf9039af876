"""Sends orders to agents, all of one batch at the same time. A missing or malformed answer counts as a refusal.

Each order has the fencing token of the owner's lease: an agent refuses a token lower than the highest it has seen, so
that an owner that has lost its lease without noticing cannot command it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import msgspec

from countingroom.bus.ask import answer_of
from countingroom.bus.election import Leadership
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import MessageDecoder, encode
from countingroom.core.systems import Action, Answer, Order
from countingroom.runs.context import RunControlContext
from countingroom.runs.owner_messages import ANSWER_S
from countingroom.runs.planner.events import Fact, OrderRefused, Reported, SendOrder

_TURN_S = 0.001
"""Agents of one computer that get an order together answer one after the other: so much longer is waited for each."""
_answers = MessageDecoder(Answer)


class Orders:
    """Sends orders under one lease and reports their results as events."""

    def __init__(
        self,
        context: RunControlContext,
        lease: Leadership,
        partition: str,
        tell: Callable[[Fact], None],
        forbidden: Callable[[], Cause | None],
    ) -> None:
        """`forbidden`: why no system may be told to start recording now; None: it may."""
        self._bus = context.bus
        self._clock = context.clock
        self._durations = context.system_states.durations
        self._lease = lease
        self._partition = partition
        self._tell = tell
        self._forbidden = forbidden

    def send(self, group: asyncio.TaskGroup, orders: Sequence[SendOrder]) -> None:
        """Start to send all orders; none is sent while the lease is lost."""
        if orders:
            group.create_task(self._send(orders))

    async def _send(self, orders: Sequence[SendOrder]) -> None:
        await self._lease.held()
        sent: list[SendOrder] = []
        await self._bus.request_each(
            self._requests(orders, sent),
            lambda place, answer: self._answered(sent[place], answer),
            timeout_s=ANSWER_S + len(orders) * _TURN_S,
        )

    def _requests(self, orders: Sequence[SendOrder], sent: list[SendOrder]) -> Iterator[tuple[str, bytes]]:
        """The messages of all orders that may be sent now; `sent` gets these orders."""
        for effect in orders:
            # Between the decision and this moment the bus or the lease may have been waited for.
            if effect.step.action is Action.START and (cause := self._forbidden()):
                self._refused(effect, cause)
                continue
            sent.append(effect)
            yield subjects.agent(effect.step.system), self._order(effect)

    def _order(self, effect: SendOrder) -> bytes:
        step, configuration = effect.step, effect.configuration
        order = Order(
            id=effect.id,
            action=step.action,
            partition=self._partition,
            fence=self._lease.token,
            deadline_ns=self._clock.now_ns() + round(step.deadline_s * 1e9),
            within_s=step.deadline_s,
            tag=configuration.tag if configuration else "",
            key=configuration.key if configuration else "",
            base=effect.base,
            parameters=configuration.parameters if configuration else {},
            run=effect.run,
        )
        self._durations.ordered(order.id, order.action, self._clock.now_ns())
        return encode(order)

    def _answered(self, effect: SendOrder, outcome: Message | CountingRoomError) -> None:
        system = effect.step.system
        try:
            answer = answer_of(subjects.agent(system), outcome, _answers)
        except CountingRoomError as error:
            self._refused(effect, error.cause)
            return
        if answer.state:
            self._tell(Reported(state=answer.state))
        if not answer.accepted:
            cause = answer.cause
            text = f"{system} refused the order"
            self._refused(effect, cause or Cause(code="refused", message=text, suggestion="check the system"))

    def _refused(self, effect: SendOrder, cause: Cause) -> None:
        if not cause.source:
            cause = msgspec.structs.replace(cause, source=f"systems.{effect.step.system}")
        step = effect.step
        self._tell(OrderRefused(system=step.system, action=step.action, cause=cause, id=effect.id))
