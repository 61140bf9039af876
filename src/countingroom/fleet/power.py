"""Switches the power of a node, as a command to the device that has it."""

from __future__ import annotations

from uuid import uuid4

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus, Subscription
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, DeviceError, LinkError, Refused
from countingroom.core.fleet.specs import NodePower
from countingroom.core.messages import Command, Event, EventKind, Reply
from countingroom.core.values import Scalar

USER = "fleet"
"""The sender of these commands; their origin names the user who asked."""
ANSWER_S = 5.0
CONFIRM_S = 30.0
"""The device has so long to show the new value: `set` is done when its readback agrees."""


class PowerSwitch:
    """The power of one node."""

    def __init__(self, bus: Bus, clock: Clock, power: NodePower, origin: str) -> None:
        """`origin`: for the event of the device, `restart of gfa1 by anna`."""
        self._bus = bus
        self._clock = clock
        self._power = power
        self._origin = origin

    async def __call__(self, is_on: bool) -> None:
        power = self._power
        now_ns = self._clock.now_ns()
        command = Command(
            id=uuid4().hex,
            action="set" if power.point else power.on_command if is_on else power.off_command,
            channel=power.channel,
            arguments=self._arguments(is_on),
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            origin=self._origin,
        )
        async with self._bus.subscribe(subjects.event("devices", power.device), limit=1024) as events:
            subject = subjects.command(USER, "devices", power.device)
            reply = await ask(self._bus, subject, command, Reply, timeout_s=ANSWER_S)
            if not reply.accepted and reply.cause:
                raise Refused(reply.cause)
            try:
                async with within(self._clock, CONFIRM_S):
                    failed = await self._end(events, command.id)
            except TimeoutError:
                raise LinkError(
                    f"{power.device} did not confirm {power.point or command.action} within {CONFIRM_S:g} s",
                    source="fleet",
                    code="timeout",
                ) from None
            if failed:
                raise Refused(failed)

    def _arguments(self, is_on: bool) -> dict[str, Scalar]:
        power = self._power
        return {"point": power.point, "value": power.on_value if is_on else power.off_value} if power.point else {}

    async def _end(self, events: Subscription, id: str) -> Cause | None:
        """Why the command failed; None: it is done."""
        async for message in events:
            event = self._bus.dead_letters.read(message.subject, message.data, Event)
            if event and event.command_id == id and event.kind is EventKind.DONE:
                return None
            if event and event.command_id == id and event.kind is EventKind.FAILED:
                return event.cause or Cause(
                    code="failed", message=event.message, suggestion="look at the device of the power"
                )
        raise DeviceError("the events of the device have ended", source="fleet", code="link_lost")
