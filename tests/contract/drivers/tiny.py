"""The driver printed in docs/howto/write-a-driver.md is a driver like any other; what runs here is that page."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType

from countingroom.core.values import Scalar
from countingroom.devices.port import Driver

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "write-a-driver.md"


def block(language: str) -> str:
    """The first block of that language on the page."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def module() -> ModuleType:
    """The page's driver, imported under its own name."""
    if "tinypsu" not in sys.modules:
        made = ModuleType("tinypsu")
        made.__file__ = str(PAGE)
        sys.modules["tinypsu"] = made
        exec(compile(block("python"), str(PAGE), "exec"), made.__dict__)
    return sys.modules["tinypsu"]


class TinySupply:
    """The device of the page, on loopback."""

    def __init__(self) -> None:
        self.volts = 0.0
        self.written = 0
        self.port = 0
        self.most_at_once = 0
        """Connections."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.most_at_once = max(self.most_at_once, len(self._writers))
        try:
            while line := (await reader.readline()).decode().strip():
                writer.write(f"{self._answer(line)}\n".encode())
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, line: str) -> str:
        match line.split():
            case ["VOLT?"]:
                return f"{self.volts:.2f}"
            case ["CURR?"]:
                return f"{self.volts / 4:.3f}"
            case ["VOLT", value]:
                self.written += 1
                if float(value) > 10:
                    return "ERR over range"
                self.volts = float(value)
                return "OK"
            case _:
                return "ERR unknown"


class TinyHarness:
    needs = ""
    point = "voltage"
    values: tuple[Scalar, Scalar] = (1.5, 2.25)
    patience_s = 60.0

    async def start(self) -> None:
        self.supply = TinySupply()
        await self.supply.start()

    def driver(self) -> Driver:
        tiny = module()
        section = tiny.TinySection.model_validate({"driver": "tiny", "host": "127.0.0.1", "port": self.supply.port})
        return tiny.TinyDriver(section)

    def written(self) -> int:
        return self.supply.written

    async def drop(self) -> None:
        await self.supply.stop()

    async def restore(self) -> None:
        await self.supply.start()

    async def stop(self) -> None:
        await self.supply.stop()


def harness() -> TinyHarness:
    return TinyHarness()
