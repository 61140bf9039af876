"""What the wrapper around NATS costs stands beside nats-py alone on the same server in the same run.

Also how long everything is away when the server is killed: from the kill until a message is heard again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from nats.aio.client import Client

from bench.row import Row
from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.port import Message
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.core.messages import Readings, encode

POINTS = 1000
MESSAGES = 2000
IN_FLIGHT = 64
ASKED = 2000


def message() -> bytes:
    """Readings of a thousand points, as a large device host sends them."""
    now = time.time_ns()
    return encode(
        Readings(
            device="caen",
            boot="b",
            sequence=1,
            full=False,
            sent_ns=now,
            points=[f"{number % 48}.lv_vMon{number}" for number in range(POINTS)],
            values=[1.234567 + number for number in range(POINTS)],
            qualities=[0] * POINTS,
            device_ns=[now] * POINTS,
            received_ns=[now] * POINTS,
        )
    )


async def per_second(count: int, action: Callable[[int], Awaitable[object]]) -> float:
    """How many a second, some in flight."""
    free = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with free:
            await action(number)

    begin = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    return count / (time.perf_counter() - begin)


async def appended(bus: NatsBus, raw: Client) -> Row:
    """Points stored a second, every message acknowledged."""
    data, stream = message(), raw.jetstream()
    await per_second(MESSAGES // 4, lambda number: stream.publish("readings.delta.warm", data))
    alone = await per_second(MESSAGES, lambda number: stream.publish("readings.delta.raw", data))
    ours = await per_second(
        MESSAGES, lambda number: bus.append("readings.delta.caen", data, message_id=f"caen:b:{number}")
    )
    return _row("bus, append", ours * POINTS, alone * POINTS, "points/s")


async def consumed(bus: NatsBus, raw: Client) -> Row:
    """Points read a second by a durable consumer that acknowledges every batch."""
    fetched, begin = 0, time.perf_counter()
    subscription = await raw.jetstream().pull_subscribe("readings.delta.raw", durable="raw")
    while fetched < MESSAGES:
        batch = await subscription.fetch(200)
        for one in batch:
            await one.ack()
        fetched += len(batch)
    alone = MESSAGES / (time.perf_counter() - begin)
    consumer = await bus.consumer("readings", "bench")
    fetched, begin = 0, time.perf_counter()
    while fetched < MESSAGES:
        stored = await consumer.fetch(200, timeout_s=5)
        fetched += len(stored)
        await consumer.acknowledge(stored[-1].sequence)
    ours = MESSAGES / (time.perf_counter() - begin)
    return _row("bus, consume", ours * POINTS, alone * POINTS, "points/s", goal=">= 200,000 points/s")


async def asked(bus: NatsBus, raw: Client) -> Row:
    """A request and its answer, one at a time."""

    async def median_ms(ask: Callable[[], Awaitable[object]]) -> float:
        times: list[float] = []
        for _ in range(ASKED):
            begin = time.perf_counter()
            await ask()
            times.append(time.perf_counter() - begin)
        return statistics.median(times) * 1e3

    async with bus.respond("bench.ask", _echo):
        alone = await median_ms(lambda: raw.request("bench.ask", b"x", timeout=5))
        ours = await median_ms(lambda: bus.request("bench.ask", b"x", timeout_s=5))
    return _row("bus, request and answer, p50", ours, alone, "ms")


async def away(server: EmbeddedServer, bus: NatsBus) -> Row:
    """The silence of a subscriber when the server is killed; each further kill within 30 s waits longer."""
    back = asyncio.Event()
    bus.on_link(lambda up: back.set() if up else None)
    if server.pid is None:
        raise RuntimeError("the server does not run")
    async with bus.subscribe("bench.beat") as heard:
        begin = time.perf_counter()
        os.kill(server.pid, signal.SIGKILL)
        await back.wait()
        await bus.publish("bench.beat", b"")
        await anext(heard)
        return Row(name="bus, silence after a kill", value=(time.perf_counter() - begin) * 1e3, unit="ms")


async def _echo(message: Message) -> bytes:
    return message.data


def _row(name: str, ours: float, alone: float, unit: str, *, goal: str = "") -> Row:
    return Row(name=name, value=ours, unit=unit, raw_limit=alone, ratio=ours / alone, goal=goal)


async def _rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedServer(Path(directory), description=BusSection())
        await server.start()
        url = server.url_with_login()
        bus, raw = await nats.connect(url, name="bench"), Client()
        await raw.connect(url)
        try:
            await prepare(bus, max_bytes=server.store_bytes)
            rows = [await appended(bus, raw), await consumed(bus, raw), await asked(bus, raw)]
            await raw.close()
            return [*rows, await away(server, bus)]
        finally:
            await raw.close()
            await bus.close()
            await server.stop()


def run() -> list[Row]:
    """All of it, within a minute."""
    return asyncio.run(_rows())
