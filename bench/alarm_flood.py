"""The alarm department under load, in a process of its own with a real bus and a synced database.

A flood: all points of 100 devices cross their limits at once, and one urgent alarm comes behind them. Then single
alarms, and 500 changes of alarms a second: `python -m bench alarm_flood minutes=10` for as long as the goal says.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec

from bench.row import Row
from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.port import Entry
from countingroom.bus.presence import heartbeat
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.commands.alarms import listed
from countingroom.core.messages import Catalogue, Command, DeviceState, Link, MessageDecoder, Readings, Reply, encode
from countingroom.core.points import Limits, Point

POINTS = 1_000
LIMITS = Limits(warning_high=10.0, alarm_high=12.0)
NAMES = [f"{number // 20}.lv{number % 20}" for number in range(POINTS)]
URGENT = Point(name="trip", severity=1, description="it has tripped")
CHANGES = 500
"""Changes of alarms a second."""
AT_ONCE = 25
SINGLE = 200
PATIENCE_S = 300.0
_replies = MessageDecoder(Reply)


def run(devices: str = "100", minutes: str = "0.25", profile: str = "") -> list[Row]:
    """`devices`: of 1,000 points each. `minutes`: of 500 changes a second. `profile`: a file for cProfile."""
    return asyncio.run(_measure(int(devices), float(minutes), profile))


async def _measure(devices: int, minutes: float, profile: str) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "bus", description=BusSection())
        await server.start()
        bus = await nats.connect(server.url_with_login(), name="bench")
        await prepare(bus, max_bytes=server.store_bytes)
        stage = _Stage(bus, devices, Path(folder) / "alarms.sqlite")
        arguments = [sys.executable, "-m", "bench.alarm_engine_child", *([profile] if profile else [])]
        engine = await asyncio.create_subprocess_exec(
            *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert engine.stdin is not None
        assert engine.stdout is not None
        engine.stdin.write(msgspec.json.encode({"url": server.url_with_login(), "file": str(stage.file)}) + b"\n")
        await engine.stdout.readline()
        beating = asyncio.create_task(
            heartbeat(bus, SystemClock(), role="devices", instance="main", boot="b", targets=stage.names)
        )
        watching = asyncio.create_task(stage.watch())
        try:
            rows = await stage.rows(minutes, engine.pid)
        finally:
            engine.terminate()
            await engine.wait()
            for task in (beating, watching):
                task.cancel()
            await asyncio.gather(beating, watching, return_exceptions=True)
            await bus.close()
            await server.stop()
        return rows


class _Stage:
    def __init__(self, bus: NatsBus, devices: int, file: Path) -> None:
        self.names = [f"device{number}" for number in range(devices)]
        self.file = file
        self._bus = bus
        self._sequence = 0
        self._seen: dict[str, float] = {}
        """Key of an alarm -> when it was seen last."""

    async def watch(self) -> None:
        async with self._bus.watch(subjects.STATE_BUCKET, "alarm.>") as items:
            async for item in items:
                if isinstance(item, Entry):
                    self._seen[item.key] = time.perf_counter()

    async def rows(self, minutes: float, pid: int) -> list[Row]:
        await self._describe()
        for name in self.names:
            await self._read(name, 5.0)
        # Findings about the devices are made once their heartbeats are known.
        await asyncio.sleep(6)
        idle_mb = _memory_mb(pid)
        rows = await self._single()
        rows += await self._flood()
        rows += await self._steady(minutes, pid)
        rows.append(Row(name="memory of the engine at rest", value=idle_mb, unit="MB"))
        return rows

    async def _describe(self) -> None:
        points = tuple(Point(name=name, limits=LIMITS) for name in NAMES)
        for name in self.names:
            catalogue = Catalogue(device=name, title=name, driver="bench", group="", points=(*points, URGENT))
            state = DeviceState(device=name, state="ON", common="on", link=Link.CONNECTED, since_ns=time.time_ns())
            await self._bus.put(subjects.STATE_BUCKET, subjects.catalogue_key(name), encode(catalogue))
            await self._bus.put(subjects.STATE_BUCKET, subjects.device_key(name), encode(state))

    async def _read(self, device: str, value: float | bool, names: list[str] = NAMES) -> None:
        self._sequence += 1
        now_ns, count = time.time_ns(), len(names)
        message = Readings(
            device=device,
            boot="b",
            sequence=self._sequence,
            full=False,
            sent_ns=now_ns,
            points=names,
            values=[value] * count,
            qualities=[0] * count,
            device_ns=[now_ns] * count,
            received_ns=[now_ns] * count,
        )
        await self._bus.append(subjects.readings(device, full=False), encode(message))

    async def _single(self) -> list[Row]:
        """From the append of a reading beyond its limit until another client has the published alarm."""
        times: list[float] = []
        for number in range(SINGLE):
            device = self.names[number % len(self.names)]
            name = NAMES[number // len(self.names)]
            began = time.perf_counter()
            await self._read(device, 13.0, [name])
            key = subjects.alarm_key(f"point.{device}.{name}")
            await self._until(lambda key=key: key in self._seen, 0.0005)
            times.append((self._seen[key] - began) * 1e3)
            await self._read(device, 5.0, [name])
        await asyncio.sleep(1)
        return [
            Row(name="limit crossed until published, one at a time, median", value=statistics.median(times), unit="ms"),
            Row(name="the same, p99", value=sorted(times)[int(SINGLE * 0.99)], unit="ms"),
        ]

    async def _flood(self) -> list[Row]:
        before = self._saved()
        self._seen.clear()
        count = len(self.names) * POINTS
        urgent = subjects.alarm_key(f"point.{self.names[-1]}.trip")
        first = subjects.alarm_key(f"point.{self.names[0]}.{NAMES[0]}")
        began = time.perf_counter()
        for name in self.names:
            await self._read(name, 13.0)
        await self._read(self.names[-1], True, ["trip"])
        sent_s = time.perf_counter() - began
        await self._until(lambda: first in self._seen)
        command_s = await self._acknowledge(f"point.{self.names[0]}.{NAMES[0]}")
        saved_s = 0.0
        while len(self._seen) < count + 1 or not saved_s:
            await asyncio.sleep(0.05)
            if not saved_s and self._saved() - before > count:
                saved_s = time.perf_counter() - began
            if time.perf_counter() - began > PATIENCE_S:
                raise TimeoutError(f"{len(self._seen)} of {count} alarms came")
        published_s = max(self._seen.values()) - began
        what = f"flood of {count:,} alarms"
        return [
            Row(name=f"{what}: sent", value=sent_s, unit="s"),
            Row(name=f"{what}: the urgent one behind them published", value=self._seen[urgent] - began, unit="s"),
            Row(name=f"{what}: an acknowledgement meanwhile", value=command_s, unit="s"),
            Row(name=f"{what}: all saved", value=saved_s, unit="s"),
            Row(name=f"{what}: all published", value=published_s, unit="s"),
        ]

    async def _acknowledge(self, id: str) -> float:
        now_ns = time.time_ns()
        command = Command(
            id=uuid4().hex,
            action="acknowledge",
            arguments={"alarms": listed({id: None})},
            issued_ns=now_ns,
            deadline_ns=now_ns + 60_000_000_000,
        )
        began = time.perf_counter()
        subject = subjects.command("anna", "alarms", subjects.ALARMS)
        answer = await self._bus.request(subject, encode(command), timeout_s=60)
        assert _replies.decode(answer.data).accepted
        return time.perf_counter() - began

    async def _steady(self, minutes: float, pid: int) -> list[Row]:
        """Alarms that come and go, of a device that had none."""
        device = self.names[0]
        await self._read(device, 5.0)
        await asyncio.sleep(3)
        before, began = self._saved(), time.perf_counter()
        first_mb, ticks = _memory_mb(pid), round(minutes * 60 * CHANGES / AT_ONCE)
        for tick in range(ticks):
            first = tick // 2 * AT_ONCE % POINTS
            await self._read(device, 5.0 if tick % 2 else 13.0, NAMES[first : first + AT_ONCE])
            await asyncio.sleep(max(0.0, began + (tick + 1) * AT_ONCE / CHANGES - time.perf_counter()))
            if tick == ticks // 4:
                first_mb = _memory_mb(pid)
        await self._until(lambda: self._saved() - before >= ticks * AT_ONCE)
        late_s = time.perf_counter() - began - ticks * AT_ONCE / CHANGES
        what = f"{CHANGES} changes/s for {minutes:g} min"
        return [
            Row(name=f"{what}: the last saved after", value=late_s, unit="s", goal="<= 1 s"),
            Row(name=f"{what}: growth of memory", value=_memory_mb(pid) - first_mb, unit="MB", goal="<= 20 MB"),
        ]

    def _saved(self) -> int:
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as file:
            return file.execute("SELECT count(*) FROM alarm_history").fetchone()[0]

    async def _until(self, is_so: Callable[[], bool], pause_s: float = 0.01) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 (the file tells nothing)
                await asyncio.sleep(pause_s)


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Pss:")) / 1024
