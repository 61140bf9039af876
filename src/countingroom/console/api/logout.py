"""Releases the control that a user holds, after the logout from the last browser.

If the owner of the target does not answer, control ends by its idle time instead.
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


async def release_control(console: ConsoleContext, user: str) -> None:
    """Release what this user controls, if no browser has a session of this user any more."""
    # Without this the next shift found a partition held for twenty minutes by a user who had gone home, and only an
    # expert could take it over.
    _, sessions = console.login()
    if not await sessions.is_in(user):
        await release_all(console, user)


async def release_all(console: ConsoleContext, user: str) -> None:
    """Release everything this user controls."""
    held = [
        key.partition(".")[2]
        for key, word in console.latest.words.items()
        if isinstance(word, Control) and word.holder == user and word.held(console.clock.now_ns())
    ]
    await asyncio.gather(*(_release(console, user, target) for target in held))


async def _release(console: ConsoleContext, user: str, target: str) -> None:
    now_ns = console.clock.now_ns()
    command = Command(
        id=uuid4().hex,
        action="release_control",
        issued_ns=now_ns,
        deadline_ns=now_ns + round(_WAIT_S * 1e9),
        within_s=_WAIT_S,
        origin="logout",
    )
    try:
        async with within(console.clock, _WAIT_S):
            await send(console.bus, console.clock, "runs", target, command, user=user)
    except (CountingRoomError, TimeoutError) as error:
        _log.warning("%s keeps control of %s until it is idle: %s", user, target, error)
