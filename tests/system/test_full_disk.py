"""A full disk stops what is kept, never what is done; when there is room again everything goes on by itself.

The disk is a small tmpfs of its own, so these tests need the right to mount one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import Event
from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up

LEASE = "partition.a"
DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all space that is left."""
    file = disk / "filled"
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(1 << 16)):
            pass
    return file


async def test_streams_are_repaired_with_their_messages_and_memory_never_stops(small_disk: Path) -> None:
    told: list[Event] = []
    server = EmbeddedServer(small_disk, description=BusSection(), on_event=told.append)
    await server.start()
    bus = await nats.connect(server.url_with_login(), name="test")
    try:
        await prepare(bus, max_bytes=32 << 20)
        lease = await bus.acquire(LEASE, ttl_s=10, holder="test")
        for number in range(1, 201):
            assert await bus.append("events.a.b", str(number).encode() * 500) == number
        filled = fill(small_disk)
        async with asyncio.timeout(PATIENCE_S):
            while "not stored on disk: events" not in " ".join(server.troubles()):
                await bus.put("state", "device.a", b"goes on")
                with suppress(LinkError):
                    await bus.append("events.a.b", b"refused" * 500)
        await renewed(bus)
        assert not lease.lost
        filled.unlink()
        async with asyncio.timeout(PATIENCE_S):
            while server.troubles():
                await bus.put("state", "device.a", b"goes on")
                await asyncio.sleep(0.05)
        next_one = await bus.append("events.a.b", b"again")
        async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            found = [one async for one in stored]
        assert [one.sequence for one in found] == list(range(1, next_one + 1))
        assert [one.data[:1] for one in found[:9]] == [str(number).encode() for number in range(1, 10)]
        assert found[-1].data == b"again"
        assert not lease.lost
    finally:
        await bus.close()
        await server.stop()
    messages = " ".join(event.message for event in told)
    assert "events is not stored on disk any more" in messages
    assert "events is stored on disk again" in messages


async def renewed(bus: Bus) -> None:
    """Wait until the lease is renewed."""
    is_present = False
    async with asyncio.timeout(PATIENCE_S), bus.watch(subjects.LEASE_BUCKET, LEASE) as entries:
        async for entry in entries:
            if is_present and isinstance(entry, Entry):
                return
            is_present |= isinstance(entry, Current)


def test_a_run_is_stopped_on_a_full_disk_and_the_history_goes_on_afterwards(small_disk: Path) -> None:
    with up(DEMO, small_disk / "data", "--simulate") as running:
        until(lambda: command(running, "goal", state="QA_Active"), "the partition is ready")
        take_run(running, 1)
        filled = fill(small_disk)
        until(lambda: "not stored on disk" in readiness(running), "readiness tells it")
        before = running.reading("chiller", "internal_temp")["received_ns"]
        until(
            lambda: running.reading("chiller", "internal_temp")["received_ns"] > before + 2_000_000_000,
            "live values go on",
        )
        assert command(running, "stop")
        until(lambda: state(running) == "QA_Active", "it has stopped")
        refused = running.post("partitions/mCBM/commands/start", wait_s=PATIENCE_S)
        assert refused.status_code in (409, 422, 502, 503), refused.text
        assert "storage_failed" in refused.text or "disk" in refused.text
        set_it = {"arguments": {"point": "0.lv_setV", "value": 11.5}, "wait_s": PATIENCE_S}
        answer = running.command("caen", "set", **set_it)
        assert answer.is_success and answer.json()["outcome"]["kind"] == "done", answer.text
        until(lambda: running.reading("caen", "0.lv_setV")["value"] == 11.5, "it is shown")
        filled.unlink()
        until(lambda: running.http.get("/readyz").status_code == 200, "it is ready again")
        until(lambda: running.get("/runs")["runs"][0]["end"] == "stopped", "the end of the run is in the run book")

        def recorded() -> bool:
            last = running.get("/history/last", point="caen.0.lv_setV")["readings"]["caen.0.lv_setV"]
            return bool(last["value"] == 11.5)

        until(recorded, "the history has what was set while the disk was full")
        take_run(running, 2)


def state(running: Running) -> str:
    return str(running.get("/partitions/mCBM")["partition"]["state"])


def take_run(running: Running, number: int) -> None:
    """Start a run, and wait until it is under way. The first commands may be refused."""
    until(lambda: command(running, "start") or state(running) == "Recording", "a run records")
    until(lambda: [one["end"] for one in running.get("/runs")["runs"]].count(None) == 1, f"run {number} is under way")


def command(running: Running, name: str, **arguments: str) -> bool:
    """A command to the partition; whether it was done."""
    answer = running.post(f"partitions/mCBM/commands/{name}", arguments=arguments, wait_s=PATIENCE_S)
    return answer.status_code == 200 and answer.json()["outcome"]["kind"] == "done"


def readiness(running: Running) -> str:
    """The answer of /readyz."""
    return running.http.get("/readyz").text
