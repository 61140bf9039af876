"""What the ssh engine does beyond the contract of all engines, on a real sshd."""

from __future__ import annotations

import asyncio
import fcntl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.core.fleet.record import PowerCut
from countingroom.core.fleet.specs import InstanceId, ServiceSpec, WantedNode, digest
from countingroom.core.fleet.states import NodeReboot
from countingroom.fleet.engines.port import EngineInstance, MakeOrder
from countingroom.fleet.engines.ssh import SshEngine
from countingroom.fleet.reboot import Reboots, by_ssh
from tests.hosts import programs
from tests.patience import PATIENCE_S
from tests.ssh_node import SshServer, ssh_engine

pytestmark = pytest.mark.server
ONE = InstanceId("camera", "n1")
OTHER_KEY = f"SHA256:{'A' * 43}"


@pytest.fixture
async def engine(sshd: SshServer, tmp_path: Path) -> AsyncGenerator[SshEngine]:
    made = ssh_engine(sshd, tmp_path)
    await made.connect()
    try:
        yield made
    finally:
        await made.close()
        sshd.end_programs(tmp_path)  # also where the connection was lost, or a removal was late


def order(*command: str, **more: object) -> MakeOrder:
    spec = ServiceSpec(command=command or ("sleep", "600"), grace_s=1.0, **more)  # type: ignore[arg-type]
    return MakeOrder(id=ONE, spec=spec, digest=digest(spec), revision=1, change="r1-0")


async def only(engine: SshEngine) -> EngineInstance:
    (one,) = await engine.instances()
    return one


def reached_by(server: SshServer, place: Path, **changed: object) -> SshEngine:
    reach = msgspec.structs.replace(server.reach(place), **changed)
    return SshEngine(SystemClock(), "mCBM", WantedNode(name="n1", address="127.0.0.1", ssh=reach), place)


async def test_a_host_key_that_is_not_known_is_told_with_its_fingerprint(sshd: SshServer, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"[127.0.0.1]:{sshd.port} {sshd.public}\n")
    known = reached_by(sshd, tmp_path, host_key="", known_hosts="known")
    await known.connect()
    await known.close()

    (tmp_path / "none").write_text("")
    for unknown in ({"host_key": "", "known_hosts": "none"}, {"host_key": OTHER_KEY}):
        with pytest.raises(LinkError, match=r"the host key of 127\.0\.0\.1:\d+ is SHA256:") as told:
            await reached_by(sshd, tmp_path, **unknown).connect()
        assert told.value.cause.code == "host_key" and sshd.fingerprint in told.value.cause.message


async def test_why_a_node_is_not_reached_is_told(sshd: SshServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing cannot be used: No such file"):
        await reached_by(sshd, tmp_path, key="nothing").connect()
    with pytest.raises(ConfigurationError, match="there is no such file"):
        await reached_by(sshd, tmp_path, host_key="", known_hosts="nothing").connect()
    with pytest.raises(LinkError, match="does not let nobody-here in"):
        await reached_by(sshd, tmp_path, user="nobody-here").connect()
    with pytest.raises(LinkError, match=r"127\.0\.0\.1:1: Connection refused$"):
        await reached_by(sshd, tmp_path, port=1).connect()
    with pytest.raises(LinkError, match="cannot be made"):
        await reached_by(sshd, tmp_path, folder="/proc/nothing").connect()


async def test_a_lost_connection_is_told_and_the_program_runs_on(sshd: SshServer, engine: SshEngine) -> None:
    await engine.make(order())
    before = await only(engine)
    async with asyncio.timeout(PATIENCE_S), aclosing(engine.changes()) as changes:
        await anext(changes)
        for process in psutil.Process(sshd.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a command that has ended meanwhile
                # One process of a connection or, since OpenSSH 9.8, several.
                if process.name().startswith("sshd"):
                    process.kill()
        with pytest.raises(LinkError):
            while True:
                await anext(changes)
    with pytest.raises(LinkError):
        await engine.instances()
    await engine.connect()
    assert (await only(engine)).engine_id == before.engine_id
    await engine.start(ONE)  # it runs already
    assert (await only(engine)).engine_id == before.engine_id


async def test_a_process_number_alone_names_no_process(engine: SshEngine, tmp_path: Path) -> None:
    """After a restart of the computer another program may have the number of a runner."""
    await engine.make(order())
    folder = tmp_path / "mCBM" / "n1" / str(ONE)
    number, began, boot = (folder / "runner").read_text().split()
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        for identity in (f"{stranger.pid} {began} {boot}", f"{number} {began} other-boot"):
            (folder / "runner").write_text(f"{identity}\n")
            assert not (await only(engine)).is_running
        (folder / "runner").write_text(f"{stranger.pid} {began} {boot}\n")
        await engine.remove(ONE, 0.0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        with suppress(psutil.NoSuchProcess):
            psutil.Process(int(number)).terminate()


async def half_made(engine: SshEngine, folder: Path) -> Path:
    """The folder of an instance that has no runner and never had one."""
    await engine.make(order())
    await engine.remove(ONE, 0.0)
    made = order()
    place = folder / "mCBM" / "n1" / str(ONE)
    content = {"id": ONE, "digest": made.digest, "revision": 1, "change": "r1-0", "spec": made.spec}
    (place / "made.json").write_bytes(msgspec.json.encode(content))
    (place / "made.new").write_text('{"id"')
    return place


async def test_what_was_left_half_made_is_started(engine: SshEngine, tmp_path: Path) -> None:
    """The connection may end, or the computer stop, between any two steps."""
    await half_made(engine, tmp_path)
    assert not (await only(engine)).is_running
    await engine.start(ONE)
    assert (await only(engine)).is_running


async def test_a_removal_waits_for_a_start_that_is_under_way(
    engine: SshEngine, sshd: SshServer, tmp_path: Path
) -> None:
    """The runner of a start whose answer was not waited for is not known yet: it must not outlive the removal."""
    folder = await half_made(engine, tmp_path)
    later = ssh_engine(sshd, tmp_path)
    await later.connect()
    async with asyncio.timeout(PATIENCE_S):
        while list(programs(lambda words, _: str(folder) in words)):
            await asyncio.sleep(0.05)
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            starting = asyncio.create_task(engine.start(ONE))
            while not list(programs(lambda words, _: "run" in words and str(folder) in words)):
                await asyncio.sleep(0.05)
            removing = asyncio.create_task(later.remove(ONE, 0.0))
            await asyncio.wait([removing], timeout=1.0)
        await asyncio.gather(starting, removing)
        await later.close()
        assert not await engine.instances()
        while list(programs(lambda words, _: str(folder) in words)):  # its parent ends after it
            await asyncio.sleep(0.05)


async def test_a_real_node_tells_its_boot_id_and_why_it_does_not_restart(sshd: SshServer, tmp_path: Path) -> None:
    reach = msgspec.structs.replace(sshd.reach(tmp_path), reboot=("sh", "-c", "echo 'not for you'; exit 3"))
    node = WantedNode(name="n1", address="127.0.0.1", ssh=reach, has_ssh=True)
    shown: list[NodeReboot] = []
    reboots = Reboots(SystemClock(), by_ssh(tmp_path), lambda _, by: unused, forgotten)
    with pytest.raises(DeviceError, match="n1 refused to restart: not for you"):
        await reboots.restart(node, "anna", shown.append, hard=False)
    assert shown[0].step == "asked" and shown[-1].step == "failed"


async def unused(is_on: bool) -> None:
    raise AssertionError("its power is not switched")


async def forgotten(node: str, cut: PowerCut | None) -> None:
    raise AssertionError("its power is not switched")


async def test_values_reach_a_program_as_they_are(engine: SshEngine) -> None:
    hostile = 'a\'b "c" $HOME `id` $(id) \\ \n !x é ; &'
    await engine.make(
        order("sh", "-c", 'printf "%s|%s" "$1" "$VALUE"; exec sleep 600', "x", hostile, environment={"VALUE": hostile})
    )
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said = "\n".join([line.text async for line in engine.logs(ONE, tail=9)])
            if said == f"{hostile}|{hostile}":
                break
    assert await engine.execute(ONE, ["printf", "%s", hostile], 5.0) == (0, hostile)
    status, said = await engine.execute(ONE, ["sleep", "60"], 0.1)
    assert status == 124 and "did not end" in said
    with pytest.raises(ConfigurationError, match="cannot be the name of a variable"):
        await engine.replace(order(environment={"A-B": "1"}), 0.0)
    with pytest.raises(DeviceError, match="there is no folder /nothing"):
        await engine.replace(order(directory="/nothing"), 0.0)
    assert (await only(engine)).is_running


async def test_a_node_tells_what_is_used_its_clock_and_when_lines_were_written(engine: SshEngine) -> None:
    told = order("sh", "-c", "echo on $USB_DEVICE_1; sleep 0.5; echo second; exec sleep 600")
    began_ns = SystemClock().now_ns()
    await engine.make(msgspec.structs.replace(told, devices={"usb:A1": ("/dev/ttyUSB7",)}))
    async with asyncio.timeout(PATIENCE_S):
        while len(lines := [line async for line in engine.logs(ONE, tail=9)]) < 2:
            await asyncio.sleep(0.02)
    first, second = lines
    assert [first.text, second.text] == ["on /dev/ttyUSB7", "second"]
    assert began_ns - 1e8 <= first.time_ns <= second.time_ns - 3e8 <= SystemClock().now_ns()
    later = [line.text async for line in engine.logs(ONE, tail=9, since_ns=first.time_ns + 1)]
    assert later == ["second"]
    async with asyncio.timeout(PATIENCE_S), aclosing(engine.logs(ONE, tail=1, follow=True)) as followed:
        assert (await anext(followed)).text == "second"

    assert (await only(engine)).devices == {"usb:A1": ("/dev/ttyUSB7",)}
    use = await engine.use()
    one = use.instances[ONE]
    assert one.memory_bytes and one.cpu_s is not None and one.disk_bytes and one.disk_bytes > len("second")
    assert use.clock_offset_s == 0.0
    assert use.host and use.host.busy_s and use.host.memory_used_bytes and use.host.disk_bytes and use.host.boot
    assert use.host.cores == len(psutil.cpu_times(percpu=True))
    assert all(two.serial for two in await engine.usb())
