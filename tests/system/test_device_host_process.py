"""A killed host disturbs no device and another follows it; a killed server costs no message."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Command, DeviceState, Event, EventKind, Readings, Reply, decode, encode
from countingroom.core.values import Quality
from countingroom.devices import registry
from countingroom.devices.host.host import DeviceHost
from tests.contract.drivers import tiny
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    made = EmbeddedServer(tmp_path / "bus", description=BusSection())
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def bus(server: EmbeddedServer) -> AsyncIterator[Bus]:
    made = await nats.connect(server.url_with_login(), name="test")
    await streams.prepare(made, max_bytes=server.store_bytes)
    yield made
    await made.close()


@pytest.fixture
async def supply() -> AsyncIterator[tiny.TinySupply]:
    made = tiny.TinySupply()
    await made.start()
    yield made
    await made.stop()


@asynccontextmanager
async def child(url: str, instance: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.system.device_host_child", url, instance, str(port), cwd=ROOT
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def eventually(true: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        while True:
            with suppress(LinkError):
                if await true():
                    return
            await asyncio.sleep(0.05)


async def state(bus: Bus) -> DeviceState | None:
    entry = await bus.get(subjects.STATE_BUCKET, subjects.device_key("psu"))
    return decode(entry.data, DeviceState) if entry and entry.data else None


async def messages(bus: Bus) -> list[Readings]:
    async with bus.replay(subjects.READINGS_STREAM, follow=False) as stored:
        return [decode(one.data, Readings) async for one in stored]


async def give(bus: Bus, volts: float) -> Reply:
    now = SystemClock().now_ns()
    command = Command(
        id=f"set-{volts}",
        action="set",
        arguments={"point": "voltage", "value": volts},
        issued_ns=now,
        deadline_ns=now + 10**10,
    )
    answer = await bus.request(subjects.command("ann", "devices", "psu"), encode(command), timeout_s=PATIENCE_S)
    return decode(answer.data, Reply)


async def test_a_killed_host_disturbs_nothing_and_the_one_standing_by_goes_on(
    server: EmbeddedServer, bus: Bus, supply: tiny.TinySupply
) -> None:
    async def connected() -> bool:
        now = await state(bus)
        return now is not None and now.state == "CONNECTED"

    async with child(server.url_with_login(), "first", supply.port) as first:
        await eventually(connected)
        assert (await give(bus, 3.3)).accepted

        async def confirmed() -> bool:
            async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
                return EventKind.DONE in [decode(one.data, Event).kind async for one in stored]

        await eventually(confirmed)
        before = await state(bus)
        assert before
        async with child(server.url_with_login(), "second", supply.port):
            await asyncio.sleep(0)
            assert "first" in (await bus.holders())["device.psu"]
            os.kill(first.pid, signal.SIGKILL)

            async def followed() -> bool:
                now = await state(bus)
                return now is not None and now.boot != before.boot and now.state == "CONNECTED"

            await eventually(followed)
            assert supply.most_at_once == 1
            assert (supply.volts, supply.written) == (3.3, 1)

            async def told_again() -> bool:
                full = [m for m in await messages(bus) if m.full and m.boot != before.boot]
                return any(dict(m.rows())["voltage"].value == 3.3 for m in full)

            await eventually(told_again)
            assert (await give(bus, 1.1)).accepted


async def test_a_killed_server_costs_no_message_and_all_is_told_again(
    server: EmbeddedServer, bus: Bus, supply: tiny.TinySupply
) -> None:
    section = tiny.module().TinySection.model_validate(
        {"driver": "tiny", "host": "127.0.0.1", "port": supply.port, "poll": "10 ms"}
    )
    own = await nats.connect(server.url_with_login(), name="host")
    host = asyncio.create_task(DeviceHost(own, SystemClock(), [registry.build("psu", section)]).run())
    try:

        async def told() -> bool:
            latest = {name: reading for m in await messages(bus) for name, reading in m.rows()}
            reading = latest.get("voltage")
            return reading is not None and (reading.value, reading.quality) == (supply.volts, Quality.GOOD)

        for step in range(1, 6):
            supply.volts = step / 10
            await eventually(told)
            if step == 3:
                assert server.pid
                os.kill(server.pid, signal.SIGKILL)
                supply.volts = 9.0
                await eventually(told)
                assert [m for m in await messages(bus) if m.full][-1].sequence > 1
        numbers = [m.sequence for m in await messages(bus)]
        assert numbers == list(range(1, len(numbers) + 1))
        now = await state(bus)
        assert now
        assert now.state == "CONNECTED"
    finally:
        host.cancel()
        with suppress(asyncio.CancelledError):
            await host
        await own.close()
