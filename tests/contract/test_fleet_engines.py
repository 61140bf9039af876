"""What every engine of the fleet does, on the engine in memory and on real ones."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import msgspec
import psutil
import pytest
from msgspec import Struct

from countingroom.core.clock import SystemClock
from countingroom.core.errors import DeviceError, LinkError, NotFound
from countingroom.core.fleet.batch_jobs import ClusterAccess
from countingroom.core.fleet.specs import InstanceId, ServiceSpec, WantedNode, digest
from countingroom.fleet.engines.docker import DockerEngine
from countingroom.fleet.engines.lease_guard import GuardedEngine
from countingroom.fleet.engines.log_files import read_record
from countingroom.fleet.engines.port import Engine, EngineInstance, MakeOrder
from countingroom.fleet.engines.process import ProcessEngine, RunnerState
from countingroom.fleet.engines.slurm import SlurmEngine
from countingroom.fleet.engines.ssh import SshEngine
from countingroom.testing.fake_engine import FakeEngine
from tests.container_engines import IMAGE, EngineServer
from tests.patience import PATIENCE_S
from tests.slurm_server import SlurmServer
from tests.ssh_node import ssh_engine

ONE = InstanceId("camera", "n1")
WAITING = ("sh", "-c", "echo exposing; exec sleep 600")
LOOK_S = 0.1
"""Between two looks that start a program each, where the engine is asked by ssh or is Slurm."""


def order(*command: str, change: str = "r1-0", id: InstanceId = ONE, **more: object) -> MakeOrder:
    spec = ServiceSpec(command=command or WAITING, grace_s=1.0, **more)  # type: ignore[arg-type]
    return MakeOrder(id=id, spec=spec, digest=digest(spec), revision=1, change=change, secrets={"TOKEN": "rosebud"})


class ImageEngine(DockerEngine):
    """Runs the programs of these tests in the image that there is."""

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        spec = msgspec.structs.replace(order.spec, image=IMAGE, network="none")
        await super().replace(msgspec.structs.replace(order, spec=spec), grace_s)


SERVERS = [pytest.param(name, marks=pytest.mark.server) for name in ("ssh", "docker", "docker-tls", "podman", "slurm")]


@pytest.fixture(params=["fake", "process", *SERVERS])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Engine]:
    made = engine_of(request, tmp_path)
    await made.connect()
    try:
        yield made
    finally:
        for one in await made.instances():
            await made.remove(one.id, 0.0)
        await made.close()


def engine_of(request: pytest.FixtureRequest, folder: Path) -> Engine:
    if request.param == "fake":
        return FakeEngine(SystemClock())
    if request.param == "process":
        return process_engine(folder)
    if request.param == "ssh":
        return ssh_engine(request.getfixturevalue("sshd"), folder)
    if request.param == "slurm":
        cluster: SlurmServer = request.getfixturevalue("slurm")
        access = ClusterAccess(conf=str(cluster.conf))
        wanted = WantedNode(name="n1", engine="slurm", slurm=access)
        return SlurmEngine(SystemClock(), "mCBM", wanted, folder / "n1", folder, look_s=0.1)
    server: EngineServer = request.getfixturevalue("podman" if request.param == "podman" else "docker")
    reach = server.tls if request.param == "docker-tls" and server.tls else server.unix
    return ImageEngine(SystemClock(), "mCBM", WantedNode(name="n1", engine="docker", reach=reach), folder)


Programs = ProcessEngine | SshEngine


class Computer(Struct, frozen=True):
    """A node that runs programs, and how one looks behind its engine."""

    engine: Programs
    again: Callable[[], Programs]
    """The engine of the next keeper, which has to connect."""
    folder: Path
    """Of the only instance."""

    def runner(self) -> int:
        """The process number of its runner."""
        if isinstance(self.engine, SshEngine):
            return int((self.folder / "runner").read_text().split()[0])
        state = read_record(self.folder / "state.json", RunnerState)
        assert state
        return state.runner


@pytest.fixture(params=["process", pytest.param("ssh", marks=pytest.mark.server)])
async def computer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Computer]:
    def make() -> Programs:
        made = engine_of(request, tmp_path)
        assert isinstance(made, Programs)
        return made

    made = make()
    await made.connect()
    base = tmp_path / "n1" if request.param == "process" else tmp_path / "mCBM" / "n1"
    try:
        yield Computer(made, make, base / str(ONE))
    finally:
        for one in await made.instances():
            await made.remove(one.id, 0.0)
        await made.close()


def process_engine(folder: Path) -> ProcessEngine:
    return ProcessEngine(SystemClock(), folder / "n1", folder)


async def only(engine: Engine) -> EngineInstance:
    (one,) = await engine.instances()
    return one


async def until(engine: Engine, is_so: Callable[[EngineInstance], bool]) -> EngineInstance:
    """Wait, by what the engine tells, until its only instance is so."""
    async with asyncio.timeout(PATIENCE_S), aclosing(engine.changes()) as changes:
        while True:
            listening = asyncio.ensure_future(anext(changes))
            await asyncio.sleep(0)
            one = await only(engine)
            if is_so(one):
                listening.cancel()
                await asyncio.wait([listening])
                return one
            await listening


async def test_an_instance_that_is_made_runs_as_it_was_ordered(engine: Engine) -> None:
    made = order()
    await engine.make(made)
    one = await only(engine)
    assert (one.id, one.digest, one.revision, one.change) == (ONE, made.digest, 1, "r1-0")
    assert one.is_running and one.spec.command == WAITING and not one.drift


async def test_a_program_that_cannot_be_started_is_told_and_leaves_nothing(engine: Engine) -> None:
    if isinstance(engine, FakeEngine):
        engine.broken.add("/nothing/here")
    with pytest.raises(DeviceError, match="/nothing/here"):
        await engine.make(order("/nothing/here"))
    assert not await engine.instances()


async def test_a_replacement_takes_the_place_of_the_present_instance(engine: Engine) -> None:
    await engine.make(order())
    before = await only(engine)
    await engine.replace(order("sleep", "500", change="r2-0"), 0.0)
    after = await only(engine)
    assert after.is_running and after.change == "r2-0" and after.engine_id != before.engine_id


async def test_a_replacement_that_cannot_be_made_leaves_the_present_instance(engine: Engine) -> None:
    await engine.make(order())
    before = await only(engine)
    if isinstance(engine, FakeEngine):
        engine.broken.add("/nothing/here")
    with pytest.raises(DeviceError):
        await engine.replace(order("/nothing/here", change="r2-0"), 0.0)
    after = await only(engine)
    assert after.is_running and (after.digest, after.change) == (before.digest, before.change)


async def test_a_keeper_that_has_lost_its_lease_changes_nothing(engine: Engine) -> None:
    assert isinstance(engine, GuardedEngine)
    await engine.make(order())
    before = await only(engine)
    engine.may_act = lambda: False
    try:
        for acting in (
            lambda: engine.make(order(id=InstanceId("camera", "n1", 1))),
            lambda: engine.replace(order("sleep", "500", change="r2-0"), 0.0),
            lambda: engine.remove(ONE, 0.0),
        ):
            with pytest.raises(LinkError, match="does not keep the fleet any more"):
                await acting()
    finally:
        engine.may_act = lambda: True
    after = await only(engine)
    assert after.is_running and (after.engine_id, after.change) == (before.engine_id, before.change)


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_a_keeper_that_loses_its_lease_in_a_replacement_stops_there_and_the_next_one_ends_it(
    engine: Engine, steps: int
) -> None:
    assert isinstance(engine, GuardedEngine)
    await engine.make(order())
    answers = iter([True] * steps)
    engine.may_act = lambda: next(answers, False)
    try:
        await engine.replace(order("sleep", "500", change="r2-0"), 0.0)
    except LinkError as error:
        assert error.cause.code == "lease_lost"
    finally:
        engine.may_act = lambda: True
    await engine.instances()
    await engine.replace(order("sleep", "400", change="r3-0"), 0.0)
    after = await only(engine)
    assert after.is_running and after.change == "r3-0"


async def test_what_is_not_there_is_removed_without_an_error_and_not_started(engine: Engine) -> None:
    await engine.remove(ONE, 0.0)
    with pytest.raises(NotFound):
        await engine.start(ONE)


async def test_the_output_can_be_read(engine: Engine) -> None:
    await engine.make(order())
    async with asyncio.timeout(PATIENCE_S):
        while not [line async for line in engine.logs(ONE, tail=5) if "exposing" in line.text]:
            await asyncio.sleep(LOOK_S)


async def test_a_command_runs_beside_an_instance(engine: Engine) -> None:
    await engine.make(order())
    if isinstance(engine, FakeEngine):
        engine.unhealthy.add("sh")
    status, output = await engine.execute(ONE, ["sh", "-c", "echo no camera with serial; exit 1"], 5.0)
    assert status == 1 and "no camera with serial" in output


# What every engine of programs does.


async def test_the_end_of_a_program_is_told_with_its_status_and_last_line(computer: Computer) -> None:
    await computer.engine.make(order("sh", "-c", "printf 'no '; echo disk; exit 7", restart="never"))
    one = await until(computer.engine, lambda one: not one.is_running)
    assert (one.exit_status, one.crashes, one.reason) == (7, 1, "no disk")


async def test_a_program_that_ends_is_started_again_and_counts_its_ends(computer: Computer) -> None:
    await computer.engine.make(order("sh", "-c", "exit 3"))
    await until(computer.engine, lambda one: not one.is_running and one.crashes >= 1)
    await computer.engine.start(ONE)  # it waits for its next start: this is now
    assert (await until(computer.engine, lambda one: one.crashes >= 2)).exit_status == 3


async def test_an_instance_runs_on_without_its_keeper(computer: Computer) -> None:
    await computer.engine.make(order())
    before = await only(computer.engine)
    await computer.engine.close()
    await computer.engine.connect()
    after = await only(computer.engine)
    assert after.is_running and after.engine_id == before.engine_id


async def test_an_instance_is_ended_with_all_that_it_began(computer: Computer, tmp_path: Path) -> None:
    far = f"cd {tmp_path}; setsid sleep 600 & trap '' TERM; echo $! > far.new; mv far.new far; wait; sleep 600"
    await computer.engine.make(order("sh", "-c", far))
    async with asyncio.timeout(PATIENCE_S):
        while not (tmp_path / "far").exists():
            await asyncio.sleep(0.01)
    pids = [int((tmp_path / "far").read_text()), int((await only(computer.engine)).engine_id)]
    await computer.engine.remove(ONE, 0.1)
    async with asyncio.timeout(PATIENCE_S):
        while any(map(psutil.pid_exists, pids)):
            await asyncio.sleep(0.01)


async def test_a_killed_runner_is_told_and_its_program_does_not_run_twice(computer: Computer) -> None:
    await computer.engine.make(order())
    one = await only(computer.engine)
    ending = asyncio.ensure_future(until(computer.engine, lambda one: not one.is_running))
    await asyncio.sleep(0.1)
    os.kill(computer.runner(), signal.SIGKILL)
    await ending
    await computer.engine.start(ONE)
    async with asyncio.timeout(PATIENCE_S):
        while psutil.pid_exists(int(one.engine_id)):
            await asyncio.sleep(0.01)
    assert (await only(computer.engine)).is_running


async def test_secrets_reach_the_program_and_no_file(computer: Computer, tmp_path: Path) -> None:
    await computer.engine.make(order("sh", "-c", "echo ${#TOKEN}; exec sleep 600"))
    await says(computer.engine, "7")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"rosebud" in file.read_bytes()]
    assert not [one for one in psutil.process_iter(["cmdline"]) if "rosebud" in " ".join(one.info["cmdline"] or ())]


async def test_an_instance_of_an_earlier_keeper_gets_its_secrets_when_it_is_started(
    computer: Computer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("rosebud\n")
    count = ("sh", "-c", "echo ${#TOKEN}; exec sleep 600")
    await computer.engine.make(order(*count, secrets={"TOKEN": f"file:{tmp_path / 'token'}"}))
    await says(computer.engine, "7")
    os.kill(computer.runner(), signal.SIGKILL)  # as after a restart of the computer
    async with asyncio.timeout(PATIENCE_S):
        while (await only(computer.engine)).is_running:
            await asyncio.sleep(LOOK_S)
    later = computer.again()
    await later.connect()
    await later.start(ONE)
    await later.close()
    await says(computer.engine, "7", "7")


async def test_an_image_is_refused_by_an_engine_of_programs(computer: Computer) -> None:
    with pytest.raises(DeviceError, match="runs programs, not images"):
        await computer.engine.pull("hub:5000/camera:1", lambda done, whole: None)


async def says(engine: Engine, *lines: str) -> None:
    """Wait until the output of the only instance is this."""
    async with asyncio.timeout(PATIENCE_S):
        while [line.text async for line in engine.logs(ONE, tail=5)] != list(lines):
            await asyncio.sleep(LOOK_S)


async def test_a_program_is_told_the_path_of_its_usb_device_by_a_later_keeper_too(tmp_path: Path) -> None:
    engine = process_engine(tmp_path)
    asked = order("sh", "-c", "exec sleep 600", devices=("usb:A1",))
    await engine.make(msgspec.structs.replace(asked, devices={"usb:A1": ("/dev/bus/usb/001/004", "/dev/ttyUSB7")}))
    for present in (engine, process_engine(tmp_path)):
        (one,) = await present.instances()
        assert one.devices == {"usb:A1": ("/dev/bus/usb/001/004", "/dev/ttyUSB7")}
    assert await engine.execute(ONE, ["sh", "-c", "echo $USB_DEVICE_1"], 5.0) == (0, "/dev/ttyUSB7\n")
    await engine.remove(ONE, 0.0)
