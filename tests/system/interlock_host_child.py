"""A device host with interlocks in a process of its own, to be killed. It reads one line of JSON."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.interlocks.described import interlock_specs
from countingroom.bus import nats
from countingroom.core.clock import SystemClock
from countingroom.devices.description import DevicesSection
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources


async def main() -> None:
    given = msgspec.json.decode(sys.stdin.buffer.readline())
    sections = DevicesSection.model_validate(given["devices"])
    alarms = AlarmsSection.model_validate({"interlocks": given["interlocks"]})
    bus = await nats.connect(given["url"], name="host")
    resources = SharedResources()
    await DeviceHost(
        bus,
        SystemClock(),
        [build(name, section, resources=resources) for name, section in sections.items()],
        resources=resources,
        interlocks=interlock_specs(alarms.interlocks),
        interlock_file=Path(given["file"]),
    ).run()


if __name__ == "__main__":
    asyncio.run(main())
