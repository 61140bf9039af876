"""A process that is one device host: the bus's address and the sections in, `{}` once it runs."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.interlocks.described import interlock_specs
from countingroom.app.garbage_collection import collect
from countingroom.bus import nats
from countingroom.core.clock import SystemClock
from countingroom.devices.description import DevicesSection
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources


async def main() -> None:
    """Serve until terminated."""
    given = msgspec.json.decode(sys.stdin.buffer.readline())
    sections = DevicesSection.model_validate(given["devices"])
    bus = await nats.connect(given["url"], name="host")
    resources = SharedResources()
    devices = [build(name, section, resources=resources) for name, section in sections.items()]
    interlocks = AlarmsSection.model_validate({"interlocks": given.get("interlocks", {})}).interlocks
    host = DeviceHost(
        bus,
        SystemClock(),
        devices,
        resources=resources,
        interlocks=interlock_specs(interlocks),
        interlock_file=Path(given["interlock_file"]) if interlocks else None,
    )
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    serving = asyncio.ensure_future(_serve(host))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(host: DeviceHost) -> None:
    """With the collection of garbage of a role."""
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(SystemClock()))
        group.create_task(host.run())


if __name__ == "__main__":
    asyncio.run(main())
