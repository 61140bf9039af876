"""The Julabo driver before a bath of the package lewis: a simulator that we did not write."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from countingroom.core.values import Scalar
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.serial.line import SerialPorts
from tests.contract.cut_line import CutLine

_STARTUP_S = 30.0


class LewisHarness:
    """One process of lewis. The line to it can be cut and joined again."""

    needs = ""
    point = "setpoint_1"
    values: tuple[Scalar, Scalar] = (12.5, 18.25)
    patience_s = 10.0

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._written = 0

    async def start(self) -> None:
        self.ports = SerialPorts()
        self._line = CutLine(self._count)
        bath = await self._line.reserve()
        options = f"{{{self._protocol}: {{bind_address: 127.0.0.1, port: {bath}}}}}"
        program = Path(sys.executable).with_name("lewis")
        self._bath = await asyncio.create_subprocess_exec(
            *(sys.executable, str(program), "-o", "error", "-c", "0.005", "-p", options, "julabo"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_STARTUP_S):
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
        with suppress(ProcessLookupError):
            self._bath.kill()
        await self._bath.wait()
