"""A process that is an IOC whose variables count: parameters in, its address out, `{"last": N}` when its input ends.

It stands for an IOC on a machine of its own, so it runs at a higher priority than the others where that is allowed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import Any

import msgspec

from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord

PRIORITY = -15


async def count(ioc: Ioc, names: list[str], period_s: float) -> int:
    """Give every variable the next number each period, until the input ends; the last number."""
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.buffer.readline)
    number = 0
    due = loop.time()
    while not ended.done():
        number += 1
        ioc.set(dict.fromkeys(names, float(number)))
        due = max(due + period_s, loop.time())  # after a pause it does not hurry to make up for it
        await asyncio.sleep(due - loop.time())
    return number


async def main() -> None:
    """Count until the input ends."""
    given: dict[str, Any] = msgspec.json.decode(sys.stdin.buffer.readline())
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    names = [f"count:{n}" for n in range(given["variables"])]
    # Records of outputs are processed where they are set. Those of inputs wait in a ring of 2,000, which loses some.
    ioc = Ioc([IocRecord(name=name, writable=True) for name in names], lambda name, value: None)
    await ioc.start()
    say({"address": ioc.address})
    last = await count(ioc, names, 1 / given["hz"])
    await asyncio.sleep(1)
    say({"last": last})
    await ioc.stop()


def say(answer: dict[str, Any]) -> None:
    """One line out."""
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
