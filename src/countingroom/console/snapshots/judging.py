"""Asks the device hosts which values of a snapshot they would refuse now, before the restore sends a command.

The answer comes from the same checks as that to the command itself. The question writes no value and makes no event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

from countingroom.console.snapshots.messages import BEGIN_S
from countingroom.core.admission import JUDGE, WOULD_REFUSE
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import Command, Reply
from countingroom.core.snapshots.restore_plan import Refusals
from countingroom.core.values import Scalar

Asking = Callable[[str, Command, str], Awaitable[Reply]]
"""(device, question, user) -> the answer of its host. LinkError if no answer came."""


async def told_refusals(ask: Asking, clock: Clock, sets: Mapping[str, Mapping[str, Scalar]], user: str) -> Refusals:
    """The writes that the hosts of these devices would refuse now. `sets`: device -> point -> value."""
    answers = await asyncio.gather(*(_told(ask, clock, device, values, user) for device, values in sets.items()))
    causes: dict[str, Cause] = {}
    silent: list[str] = []
    for device, answer in zip(sets, answers, strict=True):
        if answer is None:
            silent.append(device)
        else:
            causes |= {f"{device}.{cause.evidence.get('point')}": cause for cause in answer}
    return Refusals(causes=causes, silent=tuple(silent))


async def _told(
    ask: Asking, clock: Clock, device: str, values: Mapping[str, Scalar], user: str
) -> tuple[Cause, ...] | None:
    """The causes of one device; None if its host does not answer the question."""
    now_ns = clock.now_ns()
    question = Command(
        id=uuid4().hex,
        action=JUDGE,
        arguments=dict(values),
        issued_ns=now_ns,
        deadline_ns=now_ns + round(BEGIN_S * 1e9),
        within_s=BEGIN_S,
    )
    try:
        reply = await ask(device, question, user)
    except CountingRoomError:
        return None
    if reply.accepted:
        return ()
    return reply.cause.causes if reply.cause and reply.cause.code == WOULD_REFUSE else None
