"""A SECoP server of the package frappy-core, which we did not write, in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from tests.patience import PATIENCE_S

CONFIGURATION = """
Node('demo.frappy.test', 'a node for a test', 'tcp://{port}')
Mod('cryo', 'frappy_demo.cryo.Cryostat', 'a cryostat', jitter=0.1, T_start=10.0, target=10.0, looptime=1, ramp=6,
    maxpower=20.0, heater=4.1, mode='pid', tolerance=0.1, window=30, timeout=900)
Mod('switch', 'frappy_demo.modules.Switch', 'a heat switch', switch_on_time=0.2, switch_off_time=0.2)
"""


class FrappyNode:
    """Starts and kills the server, always at the same port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        (folder / "demo_cfg.py").write_text(CONFIGURATION.format(port=self.port))
        (folder / "general.cfg").write_text(
            f"[FRAPPY]\nlogdir={folder}\npiddir={folder}\nconfdir={folder}\n", encoding="utf-8"
        )

    async def start(self) -> None:
        """The server answers when this returns."""
        program = Path(sys.executable).with_name("frappy-server")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            *("-q", "-g", str(self._folder / "general.cfg"), "-c", "demo_cfg.py", "-p", f"tcp://{self.port}", "demo"),
            cwd=self._folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    async def kill(self) -> None:
        """The server is gone."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None
