"""Sends the commands in messages from the broker to the devices, as one principal and with its rights.

Each command is treated like any other: its principal's role is checked, the device host accepts or refuses it, an event
has its end, and the audit has an entry. Refusals and failures are also reported at the broker. Commands to one device
are sent in the order of their arrival, except those that switch off, which are sent before all that wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import uuid4

from msgspec import Struct

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core import command_permissions, policy, subjects
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, LinkError, RequestError
from countingroom.core.messages import Catalogue, Command, Event, EventKind, Reply
from countingroom.core.policy import Permission, Principal
from countingroom.core.retry import Retry, edge_log
from countingroom.mqtt.adapter import Adapter
from countingroom.mqtt.device_view import DISCONNECTED
from countingroom.mqtt.messages import Incoming, Publication, printable, shown
from countingroom.mqtt.orders import DeviceOrder, Refresh
from countingroom.mqtt.refusal_reports import RefusalReports
from countingroom.mqtt.waiting_orders import WaitingOrders

_log = logging.getLogger(__name__)

ORIGIN = "mqtt"
ANSWER_S = 5.0
"""The longest wait for a device host to accept or refuse a command."""
LATE_S = 5.0
"""A command that has waited longer than this is not sent."""
WAITING = 32
"""Commands to one device that wait; further ones are refused, unless they switch off."""
OPEN = 512
"""The most accepted commands whose end is awaited at the same time."""
RETRY_S = 0.5

Audit = Callable[[AuditEntry], Awaitable[None]]


class _Waiting(Struct, frozen=True, kw_only=True):
    order: DeviceOrder
    message: Incoming
    came_s: float


class Commander:
    """Takes what came in."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        adapter: Adapter,
        principal: Principal,
        *,
        catalogue: Callable[[str], Catalogue | None],
        refresh: Callable[[str], None],
        tell: Callable[[Publication], None],
        audit: Audit,
    ) -> None:
        """`catalogue`: device -> what it has. `refresh`: publishes all of a kind. `tell`: publishes a refusal."""
        self._bus = bus
        self._clock = clock
        self._adapter = adapter
        self._principal = principal
        self._catalogue = catalogue
        self._refresh = refresh
        self._tell = tell
        self._audit = audit
        self._reports = RefusalReports()
        self._publisher = Publisher(bus, clock, adapter.department)
        self._queues = {
            device: WaitingOrders[_Waiting](WAITING, is_off=_is_off, is_same=_is_same) for device in adapter.devices
        }
        self._open: OrderedDict[str, Incoming] = OrderedDict()
        """Identity of an accepted command -> the message that asked for it."""

    def parts(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs beside; each until cancelled."""

        def worker(take: Callable[[], Awaitable[_Waiting]]) -> Callable[[], Coroutine[Any, Any, None]]:
            return lambda: self._work(take)

        takers = [take for one in self._queues.values() for take in (one.next_off, one.next_other)]
        return [self._publisher.run, self._follow_ends, *(worker(take) for take in takers)]

    def take(self, message: Incoming) -> None:
        """Do what a message asks for, or refuse it. It never raises."""
        try:
            self._take(message)
        except CountingRoomError as error:
            self._refused(message, error.cause)

    def forget(self) -> None:
        """Refuse what came by a connection that has ended, but for what switches off."""
        for queue in self._queues.values():
            for waiting in queue.drop():
                self._refused(waiting.message, _LOST)

    async def drain(self) -> None:
        """Publish the events that wait, at the end."""
        await self._publisher.drain()

    def _take(self, message: Incoming) -> None:
        if message.retained:
            raise RequestError(
                "a retained message is not obeyed: it may be of any age",
                code="retained",
                suggestion="send commands without the retain flag, and clear the retained one at the broker",
            )
        wanted = self._adapter.asked(message)
        if isinstance(wanted, Refresh):
            self._refresh(wanted.kind)
            return
        waiting = _Waiting(order=wanted, message=message, came_s=self._clock.monotonic())
        try:
            for ended in self._queues[wanted.device].put(waiting):
                self._refused(ended.message, _superseded(wanted), ended.order)
        except asyncio.QueueFull:
            raise RequestError(
                f"{WAITING} commands to {wanted.device} wait already",
                code="too_many",
                suggestion="wait until the device answers, then repeat it",
            ) from None

    async def _work(self, take: Callable[[], Awaitable[_Waiting]]) -> None:
        while True:
            waiting = await take()
            try:
                await self._carry(waiting)
            except CountingRoomError as error:
                self._refused(waiting.message, error.cause, waiting.order)
            except Exception as error:  # a message must not end what serves the others
                _log.exception("a message on %s was not served: %s", waiting.message.topic, error)

    async def _carry(self, waiting: _Waiting) -> None:
        order, message = waiting.order, waiting.message
        if self._clock.monotonic() - waiting.came_s > LATE_S:
            raise RequestError(
                f"it has waited for more than {LATE_S:g} s for {order.device}",
                code="too_late",
                suggestion="look at the present state and decide again",
            )
        cause = policy.decide(
            self._principal, self._permission(order), f"device.{order.device}", now_ns=self._clock.now_ns()
        ) or self._needless(order)
        if cause is not None:
            await self._record(order, Outcome.REFUSED, cause)
            self._refused(message, cause, order)
            return
        id = uuid4().hex
        self._open[id] = message
        while len(self._open) > OPEN:
            self._open.popitem(last=False)
        try:
            reply = await ask(self._bus, self._subject(order), self._command(id, order), Reply, timeout_s=ANSWER_S)
        except CountingRoomError as error:
            self._open.pop(id, None)
            await self._record(order, Outcome.FAILED, error.cause)
            raise
        if reply.accepted:
            await self._record(order, Outcome.ACCEPTED, None)
            return
        self._open.pop(id, None)
        cause = reply.cause or Cause(
            code="refused",
            message=f"{order.device} refused and gave no reason",
            suggestion="look at the present state",
        )
        await self._record(order, Outcome.REFUSED, cause)
        self._error(message, cause)  # its event is that of the device host

    def _needless(self, order: DeviceOrder) -> Cause | None:
        """Why the link is not opened again. Letting one go that is there would make every value stale for a moment,
        and interlocks that need one would act."""
        state = self._adapter.shown_state(order.device)
        if order.action != "reconnect" or state == DISCONNECTED:
            return None
        return Cause(
            code="not_allowed",
            message=f"reconnect is not possible in {state}",
            suggestion="it is possible in DISCONNECTED; the console can do it in every state",
        )

    def _subject(self, order: DeviceOrder) -> str:
        return subjects.command(self._principal.name, "devices", order.device)

    def _command(self, id: str, order: DeviceOrder) -> Command:
        now_ns = self._clock.now_ns()
        return Command(
            id=id,
            action=order.action,
            channel=order.channel,
            arguments=order.arguments,
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            origin=ORIGIN,
        )

    def _permission(self, order: DeviceOrder) -> Permission:
        if (catalogue := self._catalogue(order.device)) is None:
            raise LinkError(
                f"{order.device} is not known yet",
                source=f"devices.{order.device}",
                code="not_known",
                suggestion="see whether its device host runs",
            )
        if order.action == "set":
            name = order.arguments.get("point")
            return command_permissions.of_point(next((one for one in catalogue.points if one.name == name), None))
        scope = "channel" if order.channel else "device"
        specs = (one for one in catalogue.commands if (one.name, one.scope) == (order.action, scope))
        return command_permissions.of_device(next(specs, None))

    def _refused(self, message: Incoming, cause: Cause, order: DeviceOrder | None = None) -> None:
        """Tell a refusal that no device host knows of."""
        kind, now_s = self._adapter.kind_of(message.topic), self._clock.monotonic()
        more = self._reports.event(kind, cause.code, now_s)
        if more is not None:
            self._publisher.event(
                Event(
                    id=uuid4().hex,
                    kind=EventKind.REFUSED,
                    time_ns=self._clock.now_ns(),
                    department=self._adapter.department,
                    source=order.device if order else kind or self._adapter.department,
                    channel=order.channel if order else "",
                    message=f"a command on {printable(message.topic[:100])} refused: {cause.message}",
                    principal=self._principal.name,
                    action=order.action if order else "",
                    cause=cause,
                    data={
                        "topic": printable(message.topic[:200]),
                        "payload": shown(message),
                        "left_out_before": more,
                    },
                )
            )
        self._error(message, cause)

    def _error(self, message: Incoming, cause: Cause) -> None:
        if not self._reports.message(self._clock.monotonic()):
            return
        self._tell(self._adapter.error(message, cause))

    async def _record(self, order: DeviceOrder, outcome: str, cause: Cause | None) -> None:
        entry = AuditEntry(
            time_ns=self._clock.now_ns(),
            who=self._principal.name,
            what=order.action,
            target=f"device.{order.device}",
            arguments={**order.arguments, **({"channel": order.channel} if order.channel else {})},
            origin=ORIGIN,
            outcome=outcome,
            cause=cause,
        )
        try:
            await self._audit(entry)
        except CountingRoomError as error:  # its event has all of it
            _log.warning("the audit does not take %s of %s: %s", order.action, self._principal.name, error)

    async def _follow_ends(self) -> None:
        name = self._adapter.department
        report = edge_log(_log, f"{name}: ends of commands are not followed", f"{name}: they are followed again")
        await Retry(self._clock, report, pause_s=RETRY_S, on=CountingRoomError).forever(self._hear_ends)

    async def _hear_ends(self) -> None:
        async with self._bus.subscribe(subjects.events_of("devices"), limit=4096) as events:
            async for message in events:
                if not self._open:
                    continue
                event = self._bus.dead_letters.read(message.subject, message.data, Event)
                if event is None or event.kind not in (EventKind.DONE, EventKind.FAILED):
                    continue
                asked_by = self._open.pop(event.command_id, None)
                if asked_by and event.kind is EventKind.FAILED:
                    self._error(
                        asked_by,
                        event.cause
                        or Cause(code="failed", message=event.message, suggestion="look at the present state"),
                    )
        raise LinkError("the events ended", source="bus")


_LOST = Cause(
    code="connection_lost",
    message="the connection over which it came has ended",
    suggestion="look at the present state and decide again",
)


def _is_off(waiting: _Waiting) -> bool:
    return waiting.order.is_off


def _is_same(one: _Waiting, other: _Waiting) -> bool:
    return (one.order.action, one.order.channel) == (other.order.action, other.order.channel)


def _superseded(off: DeviceOrder) -> Cause:
    return Cause(
        code="superseded",
        message=f"{off.action} of {off.channel or off.device} came after it, before it was sent",
        suggestion="look at the present state and decide again",
    )
