"""Runs the actions of a firing one after the other, as the principal of the rule and with its roles.

A command is checked against the roles that the description gives to the rule. It is then sent like the command of a
person: the owner of the target accepts or refuses it, and an event tells its end. Each command is an audit entry.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus, Subscription
from countingroom.core import command_permissions, policy, subjects
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock, within
from countingroom.core.errors import (
    Cause,
    CountingRoomError,
    DeviceError,
    LinkError,
    NotFound,
    OutOfRange,
    Refused,
    RequestError,
)
from countingroom.core.messages import Catalogue, Command, Event, EventKind, Reply
from countingroom.core.policy import Permission, Principal, Role
from countingroom.core.rules import ramp
from countingroom.core.rules.actions import (
    Action,
    CommandAction,
    LogAction,
    NotifyAction,
    RampAction,
    RuleActions,
)
from countingroom.core.rules.specs import principal_of
from countingroom.core.rules.states import ActionResult
from countingroom.core.times import duration
from countingroom.core.values import Scalar

_log = logging.getLogger(__name__)

ANSWER_S = 5.0
"""The longest wait for an owner to accept or refuse a command, which it does without doing the work first."""
RUN_BOOK_S = 10.0
_ENDS = (EventKind.DONE, EventKind.FAILED)


class Tell(Protocol):
    """Sends a message to channels, persons and calendars, once for each id."""

    def __call__(self, to: Sequence[str], title: str, text: str, principal: str, *, id: str) -> Awaitable[int]: ...


Ended = tuple[ActionResult, Cause | None]


class RuleSurroundings(Struct, frozen=True, kw_only=True):
    """What actions need in addition to the bus."""

    catalogue: Callable[[str], Catalogue | None]
    """Name of a device -> its catalogue of points and commands; None: unknown."""
    value: Callable[[str], Scalar]
    """Address of a setpoint -> its present value; None: unknown."""
    audit: Callable[[AuditEntry], Awaitable[None]]
    tell: Tell | None
    """Sends a message to people; None if the description has no notification or the database is away."""
    is_armed: Callable[[str], bool]
    """Whether a rule is armed. A ramp stops when a person disarms its rule."""


class RuleRunner:
    """Runs the actions of one firing of a rule."""

    def __init__(
        self, bus: Bus, clock: Clock, rule: str, number: int, actions: RuleActions, around: RuleSurroundings
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._rule = rule
        self._number = number
        self._around = around
        self._principal = Principal(name=principal_of(rule), role=Role.VIEWER, roles=dict(actions.roles))

    async def run(self, place: int, action: Action) -> Ended:
        """Run one action, the `place`-th of the firing (from 0), and wait for its end."""
        # The id follows from the firing: if the same action is sent twice, its owner runs it once.
        id = f"rule-{self._rule}-{self._number}-{place}"
        try:
            match action:
                case CommandAction():
                    await self._send(id, action, self._permission(action))
                case RampAction():
                    await self._ramp(id, action)
                case NotifyAction():
                    await self._notify(id, action)
                case LogAction():
                    await self._note(id, action)
        except RequestError as error:
            return ActionResult.REFUSED, error.cause
        except CountingRoomError as error:
            return ActionResult.FAILED, error.cause
        return ActionResult.DONE, None

    async def _notify(self, id: str, action: NotifyAction) -> None:
        if self._around.tell is None:
            raise LinkError(
                "messages to people are not sent now",
                code="no_messages",
                source="alarms.notify",
                suggestion="see whether alarms.notify is described, and whether the database answers",
            )
        await self._around.tell(action.to, action.title or self._rule, action.text, self._principal.name, id=id)

    async def _note(self, id: str, action: LogAction) -> None:
        """Write the entry of the run book. The keeper has published the event already."""
        if action.partition:
            comment = CommandAction(
                department="runs",
                target=action.partition,
                command="comment",
                arguments={"text": action.text},
                deadline_s=RUN_BOOK_S,
            )
            await self._send(id, comment, self._permission(comment))

    async def _ramp(self, id: str, action: RampAction) -> None:
        address = f"{action.device}.{action.point}"
        catalogue = self._catalogue(action.device)
        points = {one.name: one for one in catalogue.points}
        if (point := points.get(action.point)) is None:
            raise NotFound(f"there is no point {address}", suggestion="see the catalogue of the device")
        now = self._around.value(address)
        if isinstance(now, bool) or not isinstance(now, (int, float)):
            raise OutOfRange(
                f"the present value of {address} is not known", code="unknown_value", suggestion="look at the device"
            )
        point.check_write(action.to)
        takes_s = abs(action.to - now) / action.rate_per_s
        if ramp.ramps_itself(point, now, action.to):
            await self._set(f"{id}-rate", action, point.rate, action.rate_per_s, point.confirm_s)
            await self._set(f"{id}-set", action, action.point, action.to, point.confirm_s + 2 * takes_s)
            return
        steps = ramp.steps(action, now)
        began_s = self._clock.monotonic()
        for number, value in enumerate(steps.values):
            # Each step is due relative to the start, so the time that a device needs to confirm does not add up.
            due_s = began_s + number * steps.every_s
            await self._clock.sleep(due_s - self._clock.monotonic())
            if number and not self._around.is_armed(self._rule):
                raise RequestError(
                    f"it was disarmed at {value:g} of {action.to:g}",
                    code="disarmed",
                    suggestion="set the point by hand where another value is wanted",
                )
            await self._set(f"{id}-{number}", action, action.point, value, point.confirm_s)

    async def _set(self, id: str, action: RampAction, point: str, value: float, deadline_s: float) -> None:
        order = CommandAction(
            department="devices",
            target=action.device,
            command="set",
            arguments={"point": point, "value": value},
            deadline_s=deadline_s + ANSWER_S,
        )
        await self._send(id, order, self._permission(order))

    def _catalogue(self, device: str) -> Catalogue:
        if (catalogue := self._around.catalogue(device)) is None:
            raise NotFound(f"there is no device {device}", suggestion="see whether its device host runs")
        return catalogue

    def _permission(self, action: CommandAction) -> Permission:
        if action.department != "devices":
            of = command_permissions.of_partition
            return (command_permissions.of_experiment if action.target == subjects.EXPERIMENT else of)(action.command)
        catalogue = self._catalogue(action.target)
        if action.command == "set":
            name = action.arguments.get("point")
            return command_permissions.of_point(next((one for one in catalogue.points if one.name == name), None))
        scope = "channel" if action.channel else "device"
        specs = (one for one in catalogue.commands if (one.name, one.scope) == (action.command, scope))
        return command_permissions.of_device(next(specs, None))

    async def _send(self, id: str, action: CommandAction, permission: Permission) -> None:
        """Send a command and wait for its end. RequestError if it is refused."""
        now_ns = self._clock.now_ns()
        device = action.department == "devices"
        is_experiment = action.target == subjects.EXPERIMENT
        target = f"device.{action.target}" if device else f"partition.{action.target}"
        target = action.target if is_experiment else target
        cause = policy.decide(self._principal, permission, target, now_ns=now_ns)
        outcome = Outcome.REFUSED
        try:
            if cause is None:
                cause = await self._ask(id, action)
                outcome = Outcome.ACCEPTED if cause is None else Outcome.REFUSED
        except CountingRoomError as error:
            cause, outcome = error.cause, Outcome.FAILED
            raise
        finally:
            await self._record(action, target, outcome, cause)
        if cause is not None:
            raise Refused(cause)

    async def _ask(self, id: str, action: CommandAction) -> Cause | None:
        """The cause if the owner refuses the command; None when it is done. DeviceError if it failed, LinkError if its
        end is not known."""
        now_ns = self._clock.now_ns()
        command = Command(
            id=id,
            action=action.command,
            channel=action.channel,
            arguments=dict(action.arguments),
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            origin="rule",
        )
        subject = subjects.command(self._principal.name, action.department, action.target)
        # Subscribed before the command is sent: a quick owner could finish before the reply arrives.
        async with self._bus.subscribe(subjects.event(action.department, action.target), limit=1024) as events:
            reply = await ask(self._bus, subject, command, Reply, timeout_s=ANSWER_S)
            if not reply.accepted:
                return reply.cause or Cause(
                    code="refused",
                    message=f"{action.target} refused and gave no reason",
                    source=action.target,
                    suggestion="look at the present state",
                )
            try:
                async with within(self._clock, action.deadline_s):
                    end = await self._end(events, id)
            except TimeoutError:
                raise LinkError(
                    f"{action.command} was accepted; it neither finished nor failed "
                    f"within {duration(action.deadline_s)}",
                    code="timeout",
                    source=f"{action.department}.{action.target}",
                    suggestion="it may still finish: look at the state",
                ) from None
        if end.kind is EventKind.FAILED:
            raise _failure(end.cause, end.message)
        return None

    async def _end(self, events: Subscription, id: str) -> Event:
        async for message in events:
            event = self._bus.dead_letters.read(message.subject, message.data, Event)
            if event and event.command_id == id and event.kind in _ENDS:
                return event
        raise LinkError("the events ended", source="bus", code="link_lost", suggestion="look at the state")

    async def _record(self, action: CommandAction, target: str, outcome: str, cause: Cause | None) -> None:
        entry = AuditEntry(
            time_ns=self._clock.now_ns(),
            who=self._principal.name,
            what=action.command,
            target=target,
            arguments={**action.arguments, **({"channel": action.channel} if action.channel else {})},
            origin="rule",
            outcome=outcome,
            cause=cause,
        )
        try:
            await self._around.audit(entry)
        except CountingRoomError as error:  # the event of the firing records the same facts
            _log.warning("the audit does not take %s of %s: %s", action.command, self._principal.name, error)


def _failure(cause: Cause | None, message: str) -> DeviceError:
    """The error for a command of which its owner says that it failed."""
    error = DeviceError(message)
    error.cause = cause or error.cause
    return error
