"""Sends a command to its owner on the bus, once, and waits for its outcome where that is wanted.

The owner answers at once whether it accepts; the outcome is an event. No answer means that the outcome is unknown, not
that the command failed. An owner that ends before it answers ends the wait: its lease is then deleted. So does a
device host that ends before the outcome of what it has accepted.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus, Subscription
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.messages import Command, Event, EventKind, Reply
from countingroom.departments import roles

ANSWER_S = 5.0
"""An owner accepts or refuses at once; after this long the answer is unknown."""
_LOOK_S = 0.25
"""Between two looks at the lease while no answer has come."""
_IN_FLIGHT_S = 0.1
"""Time for an answer that an owner sent just before its end."""
_LEASES = {"runs": subjects.partition_key, "devices": subjects.device_key}
"""Department word of a command subject -> the lease of a target; the others have none."""
_ENDING_WITH_OWNER = "devices"
"""The department whose commands end with the process that carries them out. The next owner of a partition goes on."""
_LOOK_LATER_S = 1.0
"""Between two looks at the lease while an outcome is awaited. A lease that has run out is no message."""
_ENDS = (EventKind.DONE, EventKind.FAILED)
_OWNERS = {
    word: f"see whether {role.owner} runs: countingroom serve … {role.name}"
    for role in roles().values()
    for word in role.commands
}
"""Department word of a command subject -> the advice where no process answers."""


async def send(bus: Bus, clock: Clock, department: str, target: str, command: Command, *, user: str) -> Reply:
    """Hand the user's command to the target's owner; its Reply. LinkError (`timeout`, `unreachable`) if none came."""
    subject = subjects.command(user, department, target)
    if not bus.connected:
        down = Cause(
            code="unreachable", message="the bus is not reached", source="bus", suggestion="wait until it is back"
        )
        raise _unknown(command, department, target, down)
    try:
        return await _ask_owner(
            bus, clock, subject, command, lease=_LEASES[department](target) if department in _LEASES else ""
        )
    except LinkError as error:
        raise _unknown(command, department, target, error.cause) from error


async def _ask_owner(bus: Bus, clock: Clock, subject: str, command: Command, *, lease: str) -> Reply:
    """The answer of the owner; LinkError (`owner_gone`) where it has ended since the command was sent."""
    asking = asyncio.create_task(ask(bus, subject, command, Reply, timeout_s=ANSWER_S))
    watching = asyncio.create_task(_until_gone(bus, clock, lease, _LOOK_S))
    both = asking, watching
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({asking}, timeout=_IN_FLIGHT_S)
        if asking.done():
            return asking.result()
        raise LinkError(
            f"the owner that got it has ended: {watching.result()}",
            code="owner_gone",
            source="bus",
            suggestion="wait until another process has taken over",
        )
    finally:
        for one in both:
            one.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _until_gone(bus: Bus, clock: Clock, lease: str, look_s: float) -> str:
    """Wait until the holder of the lease loses it; its name. Never returns where the lease has no holder now."""
    held = ""
    while lease:
        with suppress(CountingRoomError):  # the bus is away: the owner may be well
            now = await bus.holder(lease)
            if held and now != held:
                return held
            if not now:
                break  # a target without a lease
            held = now
        await clock.sleep(look_s)
    return await asyncio.Future[str]()


async def send_and_wait(
    bus: Bus, clock: Clock, department: str, target: str, command: Command, wait_s: float, *, user: str
) -> tuple[Reply, Event | None]:
    """The same, then its outcome: DONE or FAILED; None where none came within `wait_s`. LinkError (`timeout`) where the
    device host that has accepted it ends before."""
    async with bus.subscribe(subjects.event(department, target), limit=1024) as events:
        reply = await send(bus, clock, department, target, command, user=user)
        if not reply.accepted:
            return reply, None
        lease = _LEASES[department](target) if department == _ENDING_WITH_OWNER else ""
        ending = asyncio.create_task(_outcome(bus, events, command.id))
        watching = asyncio.create_task(_until_gone(bus, clock, lease, _LOOK_LATER_S))
        both = ending, watching
        try:
            await asyncio.wait(both, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and not ending.done():
                await asyncio.wait({ending}, timeout=_IN_FLIGHT_S)
            if ending.done():
                return reply, ending.result()
            if watching.done():
                raise _lost(command, department, target, watching.result())
            return reply, None
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _outcome(bus: Bus, events: Subscription, command_id: str) -> Event | None:
    async for message in events:
        event = bus.dead_letters.read(message.subject, message.data, Event)
        if event and event.command_id == command_id and event.kind in _ENDS:
            return event
    return None


def _lost(command: Command, department: str, target: str, owner: str) -> LinkError:
    """The owner that had accepted it has ended."""
    return LinkError(
        f"{command.action} was accepted, and its outcome is not known: the owner that carried it out has ended",
        code="timeout",
        source=f"{department}.{target}",
        evidence={"id": command.id, "owner": owner},
        suggestion="look at the present state and values before sending it again",
    )


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
