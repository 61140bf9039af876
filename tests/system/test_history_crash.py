"""After kill -9 of any process, each acknowledged sample is in the history, once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec

from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Readings, encode
from countingroom.core.series import LastAnswer, LastQuery, QueryRefusal
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.query_plan import QueryPlan
from countingroom.history.retention import MINUTE_NS, Resolution
from countingroom.history.service import HistoryService
from tests.system.history_child import ROWS, S

CHILD = Path(__file__).with_name("history_child.py")


def test_a_store_killed_while_it_writes_has_what_it_acknowledged_and_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    moments = random.Random(11)
    acknowledged = 0
    for _ in range(4):
        with subprocess.Popen([sys.executable, CHILD, path], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "open\n"
            target = acknowledged + moments.randint(10, 60)
            for line in child.stdout:
                acknowledged = int(line)
                if acknowledged >= target:
                    child.send_signal(signal.SIGKILL)  # and read what it had said before it died
            assert child.wait() == -signal.SIGKILL
        store = DuckStore(path)
        held = store.position().sequence
        assert held in (acknowledged, acknowledged + 1)
        rows = store.samples(tuple(store.points()), 0, 2**62, limit=2**40)
        assert Counter((rows.time_ns // S).tolist()) == dict.fromkeys(range(1, held + 1), ROWS)
        whole = QueryPlan(base=Resolution.MINUTE, bucket_ns=MINUTE_NS)
        counts = [int(store.buckets(name, 0, (held + 1) * S, whole).count.sum()) for name in store.points()]
        assert sum(counts) == held * (ROWS - 1)
        store.close()
        acknowledged = held


def readings(number: int) -> Readings:
    now = SystemClock().now_ns()
    return Readings(
        device="d",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=now,
        points=["number", "half"],
        values=[float(number), number / 2],
        qualities=[0, 0],
        device_ns=[now, now],
        received_ns=[now, now],
    )


async def publish(bus: Bus, count: int, acknowledged: list[int], progress: asyncio.Queue[int]) -> None:
    """As a device host does: a message that was not acknowledged is sent again, or given up after some time."""
    for number in range(1, count + 1):
        data, identity = encode(readings(number)), f"d:b:{number}"
        for _ in range(1 if number % 3 == 0 else 200):
            try:
                await bus.append(subjects.readings("d", full=False), data, message_id=identity)
            except LinkError:
                await asyncio.sleep(0.05)
            else:
                acknowledged.append(number)
                break
        progress.put_nowait(number)


async def test_a_bus_killed_while_data_flow_loses_and_doubles_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    count, kills = 3000, {700, 1900}
    server = EmbeddedServer(tmp_path / "bus", description=BusSection())
    await server.start()
    device = await nats.connect(server.url_with_login(), name="device")
    keeper = await nats.connect(server.url_with_login(), name="history")
    await streams.prepare(device, max_bytes=server.store_bytes)
    service = asyncio.create_task(
        HistoryService(
            keeper,
            SystemClock(),
            HistorySection(flush=0.05),
            lambda: DuckStore(tmp_path / "data" / "history.duckdb"),
        ).run()
    )
    acknowledged: list[int] = []
    progress: asyncio.Queue[int] = asyncio.Queue()
    try:
        async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(publish(device, count, acknowledged, progress))
            for _ in range(count):
                if await progress.get() in kills:
                    assert server.pid
                    os.kill(server.pid, signal.SIGKILL)
            await sending
            await device.append(subjects.readings("d", full=False), encode(readings(count + 1)))
            while await position(device) < count + 1:
                await asyncio.sleep(0.1)
    finally:
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service
        await device.close()
        await keeper.close()
        await server.stop()
    assert acknowledged[-1] == count
    assert len(acknowledged) > count * 0.9
    store = DuckStore(tmp_path / "data" / "history.duckdb")
    for point, scale in (("d.number", 1), ("d.half", 2)):
        held = Counter((store.samples((point,), 0, 2**62, limit=2**40).number * scale).tolist())
        assert set(held.values()) == {1}
        assert set(acknowledged) <= held.keys()
    store.close()


async def position(bus: Bus) -> float:
    """The newest number that the history has."""
    query = encode(LastQuery(points=("d.number",), at_ns=2**62))
    try:
        reply = await bus.request(subjects.query("history", "last"), query, timeout_s=5)
    except LinkError:
        return 0
    answer = msgspec.msgpack.decode(reply.data, type=LastAnswer | QueryRefusal)
    if isinstance(answer, QueryRefusal) or not answer.last.readings:
        return 0
    value = answer.last.readings["d.number"].value
    return value if isinstance(value, float) else 0
