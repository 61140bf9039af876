"""A device host in a process of its own, to be killed. Arguments: URL, instance, port of the supply."""

from __future__ import annotations

import asyncio
import sys

from countingroom.bus import nats
from countingroom.core.clock import SystemClock
from countingroom.devices import registry
from countingroom.devices.host.host import DeviceHost
from tests.contract.drivers import tiny


async def main(url: str, instance: str, port: int) -> None:
    section = tiny.module().TinySection.model_validate(
        {"driver": "tiny", "host": "127.0.0.1", "port": port, "poll": "50 ms", "reconnect_first": "50 ms"}
    )
    bus = await nats.connect(url, name=instance)
    await DeviceHost(bus, SystemClock(), [registry.build("psu", section)], instance=instance).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
