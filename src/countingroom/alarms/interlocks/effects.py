"""Carries out the effects of interlocks: sends commands to devices and run control, and repeats them until they are
done.

A command is done when its owner says so; a device host says it after the readback has confirmed the command. The
commands of one effect are sent in their order. A command that fails does not stop the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from uuid import uuid4

from msgspec import Struct

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError
from countingroom.core.interlocks.specs import DeviceCommand, EffectSpec, InterlockSpec
from countingroom.core.messages import Command, Event, EventKind, MessageDecoder, Reply
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

ANSWER_S = 2.0
"""The longest wait for the owner of a target to accept or refuse a command."""
CONFIRM_S = 10.0
"""The time that accepted commands may take. After it the effect is reported as not reached and they are sent again."""
PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""The pause between two attempts; it doubles up to the longest."""
_events = MessageDecoder(Event)


class _Order(Struct, frozen=True, kw_only=True):
    """One command of an effect."""

    department: str
    target: str
    shown: str
    action: str
    channel: str = ""
    arguments: dict[str, float | int | str | bool | None] = {}


Report = Callable[[str, str, int, str], None]
"""Takes interlock, effect, number of the trip, and why the effect is not reached (empty: it is reached)."""


class EffectRunner:
    """Carries out each effect from `begin` until all its commands are done or `end` is called."""

    def __init__(self, bus: Bus, clock: Clock, specs: Iterable[InterlockSpec], report: Report) -> None:
        self._bus = bus
        self._clock = clock
        self._report = report
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Future[Event]] = {}
        """Id of a command -> its closing event."""
        orders = [order for spec in specs for effect in spec.effects for order in _orders(effect)]
        self._targets = dict.fromkeys((one.department, one.target) for one in orders)
        self._group: asyncio.TaskGroup | None = None
        self._waiting: dict[tuple[str, str], Callable[[], None]] = {}
        """Effects that began before `run`: a takeover begins them before the task of `run` starts."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for department, target in self._targets:
                report = edge_log(_log, f"the events of {target} are not followed", f"{target} is followed again")
                retry = Retry(self._clock, report, pause_s=PAUSE_S, on=CountingRoomError)
                self._group.create_task(retry.forever(partial(self._follow, department, target)))
            for begin in self._waiting.values():
                begin()
            self._waiting.clear()
            await asyncio.Event().wait()  # keeps the group open for effects that begin later

    def begin(self, interlock: str, effect: EffectSpec, trip: int) -> None:
        """Begin to carry out an effect. If it is under way already, it continues unchanged."""
        key = interlock, effect.name
        if self._group is None:
            self._waiting[key] = partial(self.begin, interlock, effect, trip)
            return
        orders = _orders(effect)
        if orders and (key not in self._tasks or self._tasks[key].done()):
            self._tasks[key] = self._group.create_task(self._carry_out(interlock, effect.name, trip, orders))

    def end(self, interlock: str, effect: str) -> None:
        """Stop sending the commands of an effect. What they changed already stays so."""
        self._waiting.pop((interlock, effect), None)
        if task := self._tasks.pop((interlock, effect), None):
            task.cancel()

    async def _follow(self, department: str, target: str) -> None:
        async with self._bus.subscribe(subjects.event(department, target), limit=4096) as messages:
            async for message in messages:
                event = self._bus.dead_letters.read(message.subject, message.data, _events)
                if event is None or event.kind not in (EventKind.DONE, EventKind.FAILED):
                    continue
                waiting = self._ends.pop(event.command_id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(event)

    async def _carry_out(self, interlock: str, effect: str, trip: int, orders: list[_Order]) -> None:
        left, pause_s = orders, PAUSE_S
        while True:
            troubles = await self._attempt(interlock, trip, left)
            left = [order for order in left if order in troubles]
            self._report(interlock, effect, trip, "; ".join(troubles[order] for order in left))
            if not left:
                return
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _attempt(self, interlock: str, trip: int, orders: list[_Order]) -> _Troubles:
        """Send each command once and wait for the ends together. Returns the commands that are not done, with the
        reasons."""
        troubles = _Troubles()
        ends: list[tuple[_Order, str, asyncio.Future[Event]]] = []
        try:
            for order in orders:
                id = uuid4().hex
                # Registered before the command is sent: its end may come before the reply.
                self._ends[id] = end = asyncio.get_running_loop().create_future()
                ends.append((order, id, end))
                if trouble := await self._send(interlock, trip, order, id):
                    troubles.add(order, trouble)
            waiting = [end for order, _, end in ends if order not in troubles]
            if waiting:
                try:
                    async with within(self._clock, CONFIRM_S):
                        await asyncio.wait(waiting)
                except TimeoutError:
                    pass
            for order, _, end in ends:
                if order in troubles:
                    continue
                if not end.done():
                    troubles.add(order, f"not confirmed within {CONFIRM_S:g} s")
                elif (event := end.result()).kind is EventKind.FAILED:
                    troubles.add(order, event.cause.message if event.cause else event.message)
        finally:
            for _, id, _ in ends:
                self._ends.pop(id, None)
        return troubles

    async def _send(self, interlock: str, trip: int, order: _Order, id: str) -> str:
        """Why the command is not accepted; empty if it is accepted."""
        now_ns = self._clock.now_ns()
        command = Command(
            id=id,
            action=order.action,
            channel=order.channel,
            arguments=order.arguments,
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            origin=f"interlock {interlock}",
            trip=trip,
        )
        subject = subjects.command(f"interlock.{interlock}", order.department, order.target)
        try:
            reply = await ask(self._bus, subject, command, Reply, timeout_s=ANSWER_S)
        except CountingRoomError as error:
            return error.cause.message
        return "" if reply.accepted else reply.cause.message if reply.cause else "refused"


class _Troubles:
    """Commands that are not done, in their order, with the reasons. Compared by identity: two commands of an effect
    may be equal, and their arguments cannot be hashed."""

    def __init__(self) -> None:
        self._found: list[tuple[_Order, str]] = []

    def add(self, order: _Order, why: str) -> None:
        """Add a command that is not done."""
        self._found.append((order, f"{order.shown}: {why}"))

    def __contains__(self, order: object) -> bool:
        return any(one is order for one, _ in self._found)

    def __getitem__(self, order: _Order) -> str:
        return next(why for one, why in self._found if one is order)


def _orders(effect: EffectSpec) -> list[_Order]:
    if effect.stop:
        return [_Order(department="runs", target=effect.stop, shown=effect.does, action="stop")]
    return [_of_device(one) for one in effect.commands]


def _of_device(one: DeviceCommand) -> _Order:
    return _Order(
        department="devices",
        target=one.device,
        shown=one.shown,
        action=one.command,
        channel=one.channel,
        arguments=one.arguments,
    )
