"""The page `Write a driver in 60 lines` is true: its driver is installed as it says and runs as it says."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Command, Event, EventKind, Readings, Reply, decode, encode
from countingroom.core.values import Quality
from countingroom.devices import registry
from countingroom.devices.host.host import DeviceHost
from tests.contract.drivers import tiny
from tests.patience import PATIENCE_S


def installed(place: Path) -> dict[str, str]:
    """The page's files as pip would leave them; the environment in which they are found."""
    project = tomllib.loads(tiny.block("toml"))["project"]
    (place / "tinypsu.py").write_text(tiny.block("python"))
    info = place / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return {**os.environ, "PYTHONPATH": str(place)}


def python(code: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_driver_has_sixty_lines() -> None:
    assert len([line for line in tiny.block("python").splitlines() if line.strip()]) <= 60


def test_an_installed_driver_is_part_of_the_description_and_its_schema(tmp_path: Path) -> None:
    env = installed(tmp_path)
    devices = yaml.safe_load(tiny.block("yaml"))["devices"]
    code = """
import json, sys
from countingroom.devices.description import DevicesSection
from countingroom.devices import registry
devices = DevicesSection.model_validate(json.loads(sys.argv[1]))
assert "tinypsu" in sys.modules, "a section of another package is imported to be known"
hosted = registry.build("psu", devices["psu"], simulated=True)
assert "TinySection" in json.dumps(DevicesSection.model_json_schema())
print(json.dumps([type(devices["psu"]).__name__, hosted.location, hosted.simulated, devices["psu"].poll]))
"""
    done = python(code, json.dumps(devices), env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["TinySection", "tcp://192.168.0.20:5025", True, 0.5]


def test_the_description_of_the_page_is_checked_by_the_command(tmp_path: Path) -> None:
    env = installed(tmp_path)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(tiny.block("yaml"))
    bad.write_text(tiny.block("yaml").replace("host:", "hots:"))
    check = "import sys; sys.argv[0] = 'countingroom'; from countingroom.cli.main import main; main()"
    assert python(check, "check", str(good), env=env).returncode == 0
    refused = python(check, "check", str(bad), env=env)
    assert refused.returncode == 2
    assert "hots" in refused.stdout + refused.stderr
    unknown = python(check, "check", str(good), env={**env, "PYTHONPATH": ""})
    assert unknown.returncode == 2


@pytest.fixture
async def supply():
    made = tiny.TinySupply()
    await made.start()
    yield made
    await made.stop()


async def test_through_the_host_it_is_read_written_limited_and_confirmed(supply: tiny.TinySupply) -> None:
    section = tiny.module().TinySection.model_validate(
        {"driver": "tiny", "host": "127.0.0.1", "port": supply.port, "poll": "20 ms", "reconnect_first": "20 ms"}
    )
    bus = MemoryBus(SystemClock())
    await streams.prepare(bus)
    host = asyncio.create_task(DeviceHost(bus.client(), SystemClock(), [registry.build("psu", section)]).run())

    async def give(value: float) -> Reply:
        now = bus.server.clock.now_ns()
        command = Command(
            id=f"set-{value}",
            action="set",
            arguments={"point": "voltage", "value": value},
            issued_ns=now,
            deadline_ns=now + 10**10,
        )
        answer = await bus.request(subjects.command("ann", "devices", "psu"), encode(command), timeout_s=PATIENCE_S)
        return decode(answer.data, Reply)

    async def until_read(volts: float | None, quality: Quality) -> None:
        async with bus.replay(subjects.READINGS_STREAM) as stored:
            async for one in stored:
                rows = dict(decode(one.data, Readings).rows())
                if "voltage" in rows and (rows["voltage"].value, rows["voltage"].quality) == (volts, quality):
                    return

    async def until_ended(kind: EventKind) -> Event:
        async with bus.replay(subjects.EVENTS_STREAM) as stored:
            async for one in stored:
                event = decode(one.data, Event)
                if event.kind == kind:
                    return event
        raise AssertionError

    try:
        async with asyncio.timeout(PATIENCE_S):
            await until_read(0.0, Quality.GOOD)
            assert (await give(3.3)).accepted
            await until_ended(EventKind.DONE)
            await until_read(3.3, Quality.GOOD)
            assert not (await give(15.5)).accepted
            assert supply.written == 1
            assert (await give(12.0)).accepted
            failed = await until_ended(EventKind.FAILED)
            assert failed.cause
            assert "ERR over range" in failed.cause.message
            await supply.stop()
            await until_read(3.3, Quality.STALE)
            supply.volts = 1.0
            await supply.start()
            await until_read(1.0, Quality.GOOD)
    finally:
        host.cancel()
        with suppress(asyncio.CancelledError):
            await host
