"""A command to a hundred cameras at the same time, from the order to the end of the last one.

The cameras are those that come with the product, on TCP, in a process of their own; each writes a FITS file. The raw
limit is the time that the slowest of them took for its own part.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time

import msgspec

from bench.row import Row
from countingroom.core.clock import SystemClock
from countingroom.core.fleet.specs import ActorPort, InstanceId
from countingroom.core.fleet.talk import Speaker, TalkState
from countingroom.fleet.actors.node_actors import NodeActors
from countingroom.fleet.actors.talks import TalkOrder, Talks

TIMES = 5


async def _measure(cameras: int, seconds: float) -> tuple[list[float], list[float]]:
    """(duration of each talk, of the slowest camera in it), in seconds."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        farm = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.camera_farm", str(cameras), folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        if farm.stdin is None or farm.stdout is None:
            raise RuntimeError("the cameras have no pipes")
        ports: list[int] = msgspec.json.decode(await farm.stdout.readline())
        actors = NodeActors(clock, "127.0.0.1")
        clients = {
            id: actors.client(id, ActorPort(port=str(port)))
            for id, port in ((InstanceId("camera", f"n{number}"), port) for number, port in enumerate(ports))
        }
        states: dict[str, TalkState | None] = {}
        talks = Talks(clock, lambda: [Speaker(id=id) for id in clients], clients.__getitem__, states.__setitem__)

        async def talk(id: str, command: str) -> float:
            began_s = time.perf_counter()
            talks.begin(id, "bench", TalkOrder(command=command))
            await talks.run(id)
            return time.perf_counter() - began_s

        took_s: list[float] = []
        slowest_s: list[float] = []
        try:
            await talk("first", f"expose {seconds}")  # connects, and imports what writes files
            for number in range(TIMES):
                took_s.append(await talk(f"t{number}", f"expose {seconds}"))
                farm.stdin.write(b"\n")
                slowest_s.append(float(await farm.stdout.readline()))
        finally:
            await actors.close()
            farm.kill()
            await farm.wait()
    return took_s, slowest_s


def run(cameras: str = "100", seconds: str = "1") -> list[Row]:
    """One row: the median talk."""
    took_s, slowest_s = asyncio.run(_measure(int(cameras), float(seconds)))
    place = took_s.index(statistics.median_low(took_s))
    value, slowest = 1e3 * took_s[place], 1e3 * slowest_s[place]
    return [
        Row(
            name=f"talk to {cameras} cameras, exposure {seconds} s",
            value=value,
            unit="ms",
            raw_limit=slowest,
            ratio=value / slowest,
            goal=f"<= {1.1 * slowest + 20:.0f} ms",
        )
    ]
