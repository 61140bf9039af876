"""Law: who logs out of the last browser is in control of nothing: it is given up in that name, as if it had been said.

Control that cannot be given up at once, for nobody answers for it, ends by being idle.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid4

from countingroom.console.command_client import send
from countingroom.console.context import ConsoleContext
from countingroom.core.clock import within
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Command
from countingroom.core.policy import Control

_log = logging.getLogger(__name__)

_WAIT_S = 2.0


async def part(here: ConsoleContext, user: str) -> None:
    """Give up what this user controls, where no browser is logged in under that name any more."""
    _, sessions = here.login()
    if not await sessions.is_in(user):
        await give_up(here, user)


async def give_up(here: ConsoleContext, user: str) -> None:
    """Give up what this user controls."""
    held = [
        key.partition(".")[2]
        for key, word in here.latest.words.items()
        if isinstance(word, Control) and word.holder == user and word.held(here.clock.now_ns())
    ]
    await asyncio.gather(*(_give_up(here, user, target) for target in held))


async def _give_up(here: ConsoleContext, user: str, target: str) -> None:
    now_ns = here.clock.now_ns()
    command = Command(
        id=uuid4().hex,
        action="release_control",
        issued_ns=now_ns,
        deadline_ns=now_ns + round(_WAIT_S * 1e9),
        origin="logout",
    )
    try:
        async with within(here.clock, _WAIT_S):
            await send(here.bus, "runs", target, command, user=user)
    except (CountingRoomError, TimeoutError) as error:
        _log.warning("%s keeps control of %s until it is idle: %s", user, target, error)
