"""A device host that runs beside a test, with time standing still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.messages import Readings, decode
from countingroom.devices.host.host import DeviceHost
from countingroom.testing.clock import FakeClock


@asynccontextmanager
async def running(host: DeviceHost, clock: FakeClock) -> AsyncGenerator[None]:
    """It has begun, and at the end it has ended."""
    task = asyncio.create_task(host.run())
    await clock.advance(0.1)
    try:
        yield
    finally:
        task.cancel()
        for _ in range(60):
            await clock.advance(0.1)
            if task.done():
                break
        with suppress(asyncio.CancelledError):
            await task


async def sent_readings(bus: MemoryBus) -> list[Readings]:
    """All readings that were sent, in order."""
    async with bus.replay(subjects.READINGS_STREAM, follow=False) as stored:
        return [decode(one.data, Readings) async for one in stored]
