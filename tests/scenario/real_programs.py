"""Programs that run control starts take real time, while the clock of the experiment does not move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.scenario.experiment import World

_STEPS = 200
_STEP_S = 0.05


async def programs_until(world: World, is_over: Callable[[], Awaitable[bool]]) -> None:
    """Give them up to a minute, and with it at most 10 s of the time of the experiment: it has deadlines of its own."""
    for step in range(_STEPS):
        await asyncio.sleep(0.02 * 1.02**step)
        await world.clock.advance(_STEP_S)
        if await is_over():
            return
