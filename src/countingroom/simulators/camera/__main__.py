"""Runs one simulated camera until SIGTERM or Ctrl-C.

Name and observatory come from `ACTOR_NAME` and `OBSERVATORY` where they are not given, as fliswarm gives them to a
container.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from countingroom.core.clock import SystemClock
from countingroom.simulators.camera.actor_server import ActorServer
from countingroom.simulators.camera.camera import Camera


async def run(camera: Camera, server: ActorServer, host: str, port: int) -> None:
    """Serve a camera until a signal."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    camera.on_fault(server.drop, os._exit)
    port = await server.start(host, port)
    print(f"camera {server.name} listens on {host}:{port}", flush=True)
    await ended.wait()
    await server.stop()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m countingroom.simulators.camera", description=__doc__)
    parser.add_argument("--name", default=os.environ.get("ACTOR_NAME") or "camera")
    parser.add_argument("--observatory", default=os.environ.get("OBSERVATORY", ""))
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a container whose port is passed on")
    parser.add_argument("--port", type=int, default=19991)
    parser.add_argument("--folder", type=Path, default=Path("images"), help="for the FITS files")
    parser.add_argument("--form", choices=("json", "legacy"), default="json", help="of the replies")
    parser.add_argument("--size", type=int, default=256, help="pixels of an edge")
    given = parser.parse_args()
    folder = given.folder.absolute()
    camera = Camera(SystemClock(), given.name, folder, observatory=given.observatory, size=given.size)
    server = ActorServer(given.name, given.form, camera.serve)
    try:
        asyncio.run(run(camera, server, given.host, given.port))
    except OSError as error:
        sys.exit(f"port {given.port}: {os.strerror(error.errno) if error.errno else error}")


if __name__ == "__main__":
    main()
