"""A process in which nothing but the client library runs: sections in, how long it took to be live and how late
values came out."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import msgspec


def variables(section: dict[str, Any]) -> list[str]:
    """Every process variable of a mainframe."""
    from countingroom.devices.drivers.caen.build import variables as of
    from countingroom.devices.drivers.caen.description import CaenSection

    return [variable.pv for variable in of(CaenSection.model_validate(section))]


async def measure(names: list[str], settle_s: float, watch_s: float) -> dict[str, Any]:
    """Seconds until every variable gave a value, then latencies in ms while watched."""
    import aioca

    late: list[float] = []
    missing = set(range(len(names)))
    live = asyncio.Event()
    start = time.monotonic()
    begin = start + settle_s

    def take(value: Any, index: int) -> None:
        if missing:
            missing.discard(index)
            if not missing:
                live.set()
        if time.monotonic() >= begin:
            seconds, nanoseconds = value.raw_stamp
            late.append((time.time_ns() - seconds * 1_000_000_000 - nanoseconds) / 1e6)

    aioca.camonitor(names, take, format=aioca.FORMAT_TIME)
    await live.wait()
    live_s = time.monotonic() - start
    await asyncio.sleep(max(0.0, begin + watch_s - time.monotonic()) if watch_s else 0)
    aioca.purge_channel_caches()
    return {"live_s": live_s, "latencies_ms": late}


def main() -> None:
    """Measure once."""
    given = msgspec.json.decode(sys.stdin.buffer.readline())
    sections = given["sections"]
    os.environ["EPICS_CA_ADDR_LIST"] = " ".join(section["address_list"][0] for section in sections)
    os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
    names = [name for section in sections for name in variables(section) if name.endswith(tuple(given["only"]))]
    answer = asyncio.run(measure(names, given["settle_s"], given["watch_s"]))
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
