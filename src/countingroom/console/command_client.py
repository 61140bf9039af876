"""Sends a command to its owner on the bus, once, and waits for its outcome where that is wanted.

The owner answers at once whether it accepts; the outcome is an event. No answer means that the outcome is unknown, not
that the command failed.
"""

from __future__ import annotations

import asyncio

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus, Subscription
from countingroom.core import subjects
from countingroom.core.errors import Cause, LinkError
from countingroom.core.messages import Command, Event, EventKind, Reply
from countingroom.departments import roles

ANSWER_S = 5.0
"""An owner accepts or refuses at once; after this long the answer is unknown."""
_ENDS = (EventKind.DONE, EventKind.FAILED)
_OWNERS = {
    word: f"see whether {role.owner} runs: countingroom serve … {role.name}"
    for role in roles().values()
    for word in role.commands
}
"""Department word of a command subject -> the advice where no process answers."""


async def send(bus: Bus, department: str, target: str, command: Command, *, user: str) -> Reply:
    """Hand the user's command to the target's owner; its Reply. LinkError (`timeout`, `unreachable`) if none came."""
    subject = subjects.command(user, department, target)
    if not bus.connected:
        down = Cause(
            code="unreachable", message="the bus is not reached", source="bus", suggestion="wait until it is back"
        )
        raise _unknown(command, department, target, down)
    try:
        return await ask(bus, subject, command, Reply, timeout_s=ANSWER_S)
    except LinkError as error:
        raise _unknown(command, department, target, error.cause) from error


async def send_and_wait(
    bus: Bus, department: str, target: str, command: Command, wait_s: float, *, user: str
) -> tuple[Reply, Event | None]:
    """The same, then its outcome: DONE or FAILED; None where none came within `wait_s`."""
    async with bus.subscribe(subjects.event(department, target), limit=1024) as events:
        reply = await send(bus, department, target, command, user=user)
        if not reply.accepted:
            return reply, None
        try:
            async with asyncio.timeout(wait_s):
                return reply, await _outcome(bus, events, command.id)
        except TimeoutError:
            return reply, None


async def _outcome(bus: Bus, events: Subscription, command_id: str) -> Event | None:
    async for message in events:
        event = bus.dead_letters.read(message.subject, message.data, Event)
        if event and event.command_id == command_id and event.kind in _ENDS:
            return event
    return None


def not_in_time(command: Command, department: str, target: str, wait_s: float) -> Cause:
    """Accepted, but not finished when the waiting was over."""
    return Cause(
        code="timeout",
        message=f"{command.action} was accepted; it neither finished nor failed within {wait_s:g} s",
        source=f"{department}.{target}",
        evidence={"id": command.id},
        suggestion="it may still finish: ask for the state, or look for its id in the events",
    )


def _unknown(command: Command, department: str, target: str, under: Cause) -> LinkError:
    not_sent = under.code in ("no_responders", "unreachable")
    if not_sent:
        message = f"no process answers for {target}; {command.action} was not sent to it"
    else:
        message = f"no answer to {command.action} from {target}; it may or may not have been done"
    return LinkError(
        message,
        code="unreachable" if not_sent else "timeout",
        source=f"{department}.{target}",
        evidence={"id": command.id},
        suggestion=_OWNERS.get(department, "see whether its owner runs")
        if not_sent
        else "ask for the state before sending it again",
        causes=(under,),
    )
