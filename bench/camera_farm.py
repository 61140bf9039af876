"""A process with many simulated cameras on ports of loopback. It prints its ports; each line in asks for the time that
the slowest camera took for its last exposure, in seconds, from the command to its last reply."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from countingroom.core.clock import SystemClock
from countingroom.simulators.camera.actor_server import ActorRequest, ActorServer
from countingroom.simulators.camera.camera import Camera


class TimedCamera:
    """A camera that measures how long it worked."""

    def __init__(self, name: str, folder: Path) -> None:
        self.took_s = 0.0
        self._camera = Camera(SystemClock(), name, folder / name, size=32)

    async def serve(self, request: ActorRequest) -> None:
        """Carry out a command."""
        began_s = time.perf_counter()
        await self._camera.serve(request)
        self.took_s = time.perf_counter() - began_s


async def main(count: int, folder: Path) -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    cameras = [TimedCamera(f"c{number}", folder) for number in range(count)]
    servers = [ActorServer(f"c{number}", "json", one.serve) for number, one in enumerate(cameras)]
    ports = [await one.start("127.0.0.1", 0) for one in servers]
    print(msgspec.json.encode(ports).decode(), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(max(one.took_s for one in cameras), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
