"""The field of the Channel Access benchmarks: mainframes, their host and the bus, each a process of its own."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare

DEADLINE_S = 30.0


def mainframe(prefix: str, channels: int = 24) -> dict[str, Any]:
    """The section of a mainframe; 24 channels are all that three boards of low voltage feed."""
    return {
        "driver": "caen",
        "prefix": prefix,
        "channels": {
            str(n): {
                "lv": {"board": n // 8, "chan": n % 8},
                "hv": {"board": 12 + n // 12, "chan": n % 12},
                "module": f"{prefix}_{n}",
            }
            for n in range(channels)
        },
    }


@asynccontextmanager
async def child(*arguments: str, parameters: Any) -> AsyncIterator[dict[str, Any]]:
    """A process that takes one line of JSON and answers with one; its answer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(parameters) + b"\n")
        async with asyncio.timeout(DEADLINE_S):
            answer = await process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{' '.join(arguments)} ended")
        yield msgspec.json.decode(answer)
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await process.wait()
        except TimeoutError:  # a busy machine: what it would have said at its end is missing from the row
            process.kill()
            await process.wait()


@asynccontextmanager
async def mainframes(count: int, *, update_hz: float = 0) -> AsyncIterator[dict[str, Any]]:
    """Simulated mainframes; name -> the section that reaches it."""
    async with AsyncExitStack() as stack:
        sections: dict[str, Any] = {}
        for n in range(count):
            section = mainframe(f"rack{n}")
            parameters = {**section, "update_hz": update_hz / count, "tick_s": 1.0}
            answer = await stack.enter_async_context(
                child("countingroom.simulators.run", "caen", parameters=parameters)
            )
            sections[f"caen{n}"] = {**section, **answer["ready"]}
        yield sections


@asynccontextmanager
async def bus() -> AsyncIterator[tuple[str, NatsBus]]:
    """The embedded server with its streams; its URL and a client."""
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedServer(Path(directory), description=BusSection())
        await server.start()
        url = server.url_with_login()
        client = await nats.connect(url, name="bench")
        try:
            await prepare(client, max_bytes=1 << 30)
            yield url, client
        finally:
            await client.close()
            await server.stop()
