"""Requests the goals that the description gives to partitions, at the first start of the experiment.

The command takes the control lease of the partition. The lease is released at once, so that an operator can take it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from uuid import uuid4

from countingroom.bus.ask import ask
from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, LinkError
from countingroom.core.messages import Command, Reply
from countingroom.core.policy import LOCAL
from countingroom.core.values import Scalar

_log = logging.getLogger(__name__)

LONGEST_S = 60.0
"""After this the partition is left in its state, and a warning is logged."""
_AGAIN_S = 0.5
_ANSWER_S = 5.0


async def request_first_goals(bus: Bus, clock: Clock, goals: Mapping[str, str]) -> None:
    """Send each partition its goal until the command is accepted."""
    async with asyncio.TaskGroup() as group:
        for partition, goal in goals.items():
            group.create_task(_request(bus, clock, partition, goal))


async def _request(bus: Bus, clock: Clock, partition: str, goal: str) -> None:
    cause: Cause | None = None
    try:
        async with within(clock, LONGEST_S):
            while cause := await _refusal(bus, clock, partition, "goal", {"state": goal}):
                await clock.sleep(_AGAIN_S)
            await _refusal(bus, clock, partition, "release_control", {})
    except TimeoutError:
        _log.warning("%s did not accept its first goal %s: %s", partition, goal, cause)


async def _refusal(bus: Bus, clock: Clock, partition: str, action: str, arguments: dict[str, Scalar]) -> Cause | None:
    """Send a command; the Cause of its refusal."""
    now_ns = clock.now_ns()
    command = Command(
        id=uuid4().hex,
        action=action,
        arguments=arguments,
        issued_ns=now_ns,
        deadline_ns=now_ns + round(_ANSWER_S * 1e9),
        within_s=_ANSWER_S,
        origin="description",
    )
    where = subjects.command(LOCAL.name, "runs", partition)
    try:
        reply = await ask(bus, where, command, Reply, timeout_s=_ANSWER_S)
    except LinkError as error:
        return error.cause
    return (
        None
        if reply.accepted
        else reply.cause or Cause(code="refused", message="it gave no reason", suggestion="look at the partition")
    )
