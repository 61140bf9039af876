"""A process that is the alarm department: the bus's address, a file and a section in, `{}` once it is connected."""

from __future__ import annotations

import asyncio
import cProfile
import signal
import sys
from contextlib import suppress

import msgspec

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.service import AlarmService
from countingroom.app.garbage_collection import collect
from countingroom.bus import nats
from countingroom.core.clock import SystemClock
from countingroom.core.policy import Principal, Role
from countingroom.storage.database import Database


async def _principal(user: str, target: str) -> Principal:
    return Principal(name=user, role=Role.EXPERT)


async def _run(service: AlarmService) -> None:
    """With the collection of garbage of a role."""
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(SystemClock()))
        group.create_task(service.run())


async def main() -> None:
    """Decide until terminated."""
    given = msgspec.json.decode(sys.stdin.buffer.readline())
    database = Database(f"sqlite:///{given['file']}")
    await database.open()
    bus = await nats.connect(given["url"], name="alarms")
    section = AlarmsSection.model_validate(given.get("alarms", {}))
    service = AlarmService(
        bus, SystemClock(), database.alarms, Definitions(section), _principal, interlocks=database.interlocks
    )
    running = asyncio.create_task(_run(service))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    with suppress(asyncio.CancelledError):
        await running
    await bus.close()
    await database.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:  # the file of a profile
        profile = cProfile.Profile()
        profile.runcall(asyncio.run, main())
        profile.dump_stats(sys.argv[1])
    else:
        asyncio.run(main())
