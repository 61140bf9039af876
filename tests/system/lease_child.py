"""A process that holds a lease: `python lease_child.py URL NAME TTL_S [SOCKET]`, the socket of a shared process that
renews it. It prints `held TOKEN`, then `lost`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from countingroom.app.child_process import launch
from countingroom.app.shared_renewer import renewer_at
from countingroom.bus import nats


async def hold(url: str, name: str, ttl_s: str, shared: str = "") -> None:
    launch_renewer = renewer_at(Path(shared), launch) if shared else launch
    bus = await nats.connect(url, name="holder", launch_renewer=launch_renewer)
    lease = await bus.acquire(name, ttl_s=float(ttl_s), holder="child")
    async with asyncio.timeout(30):
        while bus._renewal is None or bus._renewal.until(name) is None:
            await asyncio.sleep(0.01)
    print("held", lease.token, flush=True)
    await lease.wait_lost()
    print("lost", flush=True)
    await bus.close()


asyncio.run(hold(*sys.argv[1:]))
