"""The client library alone asks N connections at once; each answers and stores one word, and all words are seen.

`python -m bench.agents_raw URL N` is the process of the N connections. It is ended by the end of its input.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from countingroom.bus.description import BusSection
from countingroom.bus.server.server import EmbeddedServer

BUCKET = "raw"
AT_ONCE = 64


async def serve(url: str, count: int) -> None:
    """Until standard input ends."""
    entering = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Client:
        async with entering:
            client = await nats.connect(url)
        stream = client.jetstream()

        async def answer(message: Msg) -> None:
            await message.respond(b"yes")
            await stream.publish(f"$KV.{BUCKET}.{number}", message.data)

        await client.subscribe(f"ask.{number}", cb=answer)
        await client.flush()
        return client

    clients = await asyncio.gather(*(one(number) for number in range(count)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.gather(*(client.close() for client in clients))


async def _rounds(url: str, count: int, repeats: int) -> list[float]:
    client = await nats.connect(url)
    await client.jetstream().create_key_value(bucket=BUCKET)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.agents_raw", url, str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin and child.stdout
    try:
        async with asyncio.timeout(60):
            await child.stdout.readline()
        seen: asyncio.Queue[None] = asyncio.Queue()

        async def heard(_: Msg) -> None:
            seen.put_nowait(None)

        await client.subscribe(f"$KV.{BUCKET}.>", cb=heard)
        await client.flush()
        times: list[float] = []
        for _ in range(repeats):
            began = time.perf_counter()
            async with asyncio.timeout(60):
                await asyncio.gather(
                    *(client.request(f"ask.{number}", b"Active", timeout=60) for number in range(count))
                )
                for _ in range(count):
                    await seen.get()
            times.append(time.perf_counter() - began)
        return times
    finally:
        child.stdin.close()
        await child.wait()
        await client.close()


async def fan_out(count: int, repeats: int) -> float:
    """Seconds, the median of all rounds on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "bus", description=BusSection())
        await server.start()
        url = server.url_with_login()
        try:
            return statistics.median(await _rounds(url, count, repeats))
        finally:
            await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
