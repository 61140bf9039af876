"""Run control as processes of their own, to be killed: `python runs_child.py SOCKET` says `ready`, then forks one for
each line of its input, `URL DATABASE NAME DELAY`, and answers with its process id. A test needs up to forty, and to
import everything again for each took most of its time. The process that renews its leases comes from the fork server at
SOCKET, as it does under `up`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from countingroom.app.child_process import launch_by
from countingroom.bus import nats
from countingroom.core.clock import SystemClock
from countingroom.runs.service import RunsService
from countingroom.storage.database import Database
from tests.scenario.experiment import description


async def serve(url: str, database_url: str, name: str, seconds: str) -> None:
    clock = SystemClock()
    database = Database(database_url)
    await database.open()
    bus = await nats.connect(url, name=name, clock=clock, launch_renewer=launch_by(Path(sys.argv[1])))
    section = description({"kind": "simulated", "configure": seconds, "start": seconds, "stop": seconds})
    await RunsService(bus, clock, section, database, instance=name).run()


def main() -> None:
    """Fork until the input ends; then kill what is left."""
    children: set[int] = set()

    def bury(*_: object) -> None:
        while children and (dead := os.waitpid(-1, os.WNOHANG)[0]):
            children.discard(dead)

    signal.signal(signal.SIGCHLD, bury)
    print("ready", flush=True)
    for line in sys.stdin:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            asyncio.run(serve(*line.split()))
            os._exit(0)
        children.add(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        print(child, flush=True)
    for child in tuple(children):
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
