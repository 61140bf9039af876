"""What nodes and instances use becomes points with values and limits."""

from __future__ import annotations

import os
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from countingroom.core.fleet.host_facts import host_use, process_facts, tree_use
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.fleet.usage import HostUse, InstanceUse, NodeUse, UseLimits, catalogue, measured
from countingroom.core.points import Limits
from countingroom.fleet.engines import local_use
from countingroom.fleet.engines.container_use import of_stats
from countingroom.fleet.engines.local_use import DiskProbe, LocalUse
from countingroom.fleet.engines.port import EngineInstance

CAMERA = InstanceId("camera", "n1", 1)
TEXT = """cpu  100 0 50 1000 20 10 40 0 0 0
cpu0 50 0 25 500 10 5 20 0 0 0
cpu1 50 0 25 500 10 5 20 0 0 0
intr 123 4 5
MemTotal:        8000000 kB
MemFree:         1000000 kB
MemAvailable:    6000000 kB
7200.50 14000.00
115f0973-8fe1-4b79-ae49-5df084849d2f
disk 4096 1000 400 350
"""


def test_the_facts_of_a_computer_are_read_from_proc() -> None:
    assert host_use(TEXT) == HostUse(
        busy_s=2.0,
        cores=2,
        memory_bytes=8_192_000_000,
        memory_used_bytes=2_048_000_000,
        disk_bytes=950 * 4096,
        disk_used_bytes=600 * 4096,
        uptime_s=7200.5,
        boot="115f0973-8fe1-4b79-ae49-5df084849d2f",
    )
    assert host_use("sh: no such file\n") == HostUse()


def test_rates_need_two_measurements_and_limits_come_with_the_points() -> None:
    first = NodeUse(
        at_s=10.0,
        host=host_use(TEXT),
        clock_offset_s=0.25,
        instances={CAMERA: InstanceUse(cpu_s=5.0, memory_bytes=2**21, ends=2)},
        volumes={(CAMERA, "/data"): "/data does not answer"},
    )
    found = measured(first, None, UseLimits(disk=(50.0, 60.0)))
    assert found.values["cpu"] is None and found.values["camera-1.cpu"] is None
    assert found.values["memory"] == 25.0 and found.values["camera-1.memory"] == 2.0
    assert (found.values["camera-1.ends"], found.values["camera-1.volume_data"]) == (2, True)
    assert found.reasons == {"camera-1.volume_data": "/data does not answer"}
    points = {point.name: point for point in found.points}
    assert points["disk"].limits == Limits(warning_high=50.0, alarm_high=60.0)
    assert points["clock_offset"].limits == Limits(alarm_low=-2.0, warning_low=-0.5, warning_high=0.5, alarm_high=2.0)
    assert points["camera-1.volume_data"].severity == 2
    later = NodeUse(
        at_s=20.0,
        host=HostUse(busy_s=12.0, cores=2),
        instances={CAMERA: InstanceUse(cpu_s=7.5)},
    )
    then = measured(later, first, UseLimits())
    assert (then.values["cpu"], then.values["camera-1.cpu"]) == (50.0, 25.0)
    again = NodeUse(at_s=30.0, instances={CAMERA: InstanceUse(cpu_s=0.5)})  # it was started anew
    assert measured(again, later, UseLimits()).values["camera-1.cpu"] is None
    described = catalogue("n1", found.points, "b")
    assert (described.device, described.channels, described.card) == ("node-n1", ("camera-1",), False)


def test_the_statistics_of_docker_and_podman_are_read() -> None:
    docker = {
        "cpu_stats": {"cpu_usage": {"total_usage": 3_000_000_000}},
        "memory_stats": {"usage": 5000, "stats": {"inactive_file": 1000}},
    }
    assert of_stats(docker, 1) == InstanceUse(cpu_s=3.0, memory_bytes=4000, ends=1)
    assert of_stats({"cpu_stats": {}, "memory_stats": {"usage": None, "stats": None}}, 0) == InstanceUse()
    assert of_stats({"memory_stats": {"usage": "?"}}, 0) == InstanceUse()


def test_a_program_counts_with_all_that_it_has_begun() -> None:
    line = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 100 50 25 25 20 0 1 0 99 1000 10 0"
    one = process_facts(line, 4096)
    assert one and (one.parent, one.cpu_s, one.memory_bytes) == (1, 2.0, 40960)
    assert process_facts("7 (a) S 1", 4096) is None
    used = tree_use(7, {7: one, 8: one, 9: one}, {7: [8], 8: [7]})
    assert (used.cpu_s, used.memory_bytes) == (4.0, 81920)


async def test_this_process_and_its_computer_are_measured(tmp_path: Path) -> None:
    use = LocalUse(tmp_path)
    host = await use.host()
    assert host.cores >= 1 and host.boot and host.disk_bytes and host.uptime_s
    (tmp_path / str(CAMERA)).mkdir()
    (tmp_path / str(CAMERA) / "log").write_bytes(b"x" * 100)
    one = EngineInstance(
        id=CAMERA, digest="", revision=1, change="", is_running=True, since_ns=0, engine_id=str(os.getpid())
    )
    found = (await use.programs([one], tmp_path))[CAMERA]
    assert found.cpu_s and found.memory_bytes and found.memory_bytes > 2**20 and found.disk_bytes == 100


def unkilled(_: Process) -> None:
    """As a process that waits for a server that is gone."""


async def test_a_disk_that_does_not_answer_keeps_nothing_waiting_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_use, "DISK_S", 0.1)
    began = tmp_path / "began"
    probe = DiskProbe(tmp_path, ("sh", "-c", f'trap "" TERM; echo x >> {began}; sleep 0.6; echo', "sh"))
    monkeypatch.setattr("asyncio.subprocess.Process.kill", unkilled)
    assert await probe.ask() is None
    assert await probe.ask() is None and await probe.ask() is None
    assert began.read_text() == "x\n"
    hanging = probe.hanging
    assert hanging
    await hanging.wait()  # the server is back
    monkeypatch.setattr(local_use, "DISK_S", 5.0)
    assert await probe.ask() is not None
