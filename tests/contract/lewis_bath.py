"""The Julabo driver before a bath of the package lewis: a simulator that we did not write."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from countingroom.core.values import Scalar
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.serial.line import SerialPorts
from tests.contract.cut_line import CutLine
from tests.patience import PATIENCE_S


@contextmanager
def bath(protocol: str) -> Generator[int]:
    """A process of lewis; the port where it serves. It keeps of a driver only the values that were written, so one is
    enough for all tests of a worker: it takes a second of processor time to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = f"{{{protocol}: {{bind_address: 127.0.0.1, port: {port}}}}}"
    program = Path(sys.executable).with_name("lewis")
    process = subprocess.Popen(
        (sys.executable, str(program), "-o", "error", "-c", "0.005", "-p", options, "julabo"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


class LewisHarness:
    """A driver before such a bath. The line to it can be cut and joined again."""

    needs = ""
    point = "setpoint_1"
    values: tuple[Scalar, Scalar] = (12.5, 18.25)
    patience_s = 60.0

    def __init__(self, port: int) -> None:
        self._bath = port
        self._written = 0

    async def start(self) -> None:
        self.ports = SerialPorts()
        self._line = CutLine(self._count, self._bath)
        async with asyncio.timeout(PATIENCE_S):
            await self._line.until_served()
        await self._line.open()

    @property
    def address(self) -> str:
        """Where the bath is reached."""
        return f"socket://127.0.0.1:{self._line.port}"

    def driver(self) -> JulaboDriver:
        return JulaboDriver(JulaboSection(port=self.address, timeout=0.5, read_gap=0.001, write_gap=0.05), self.ports)

    def written(self) -> int:
        return self._written

    def _count(self, data: bytes) -> None:
        self._written += data.count(b"OUT_")

    async def drop(self) -> None:
        await self._line.close()

    async def restore(self) -> None:
        await self._line.open()

    async def stop(self) -> None:
        await self.ports.close()
        await self._line.close()
