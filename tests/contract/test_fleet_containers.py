"""What the engine of containers does beyond the contract of all engines, on a real Docker and a real registry."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import tarfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.core.fleet.host_facts import SCRIPT
from countingroom.core.fleet.specs import InstanceId, Reach, ResourceLimits, ServiceSpec, Volume, WantedNode, digest
from countingroom.fleet.engines.docker import DockerEngine
from countingroom.fleet.engines.port import EngineInstance, MakeOrder
from countingroom.fleet.log_archive import LogArchive
from tests.container_engines import IMAGE, EngineServer, free_port, make_certificates, registry_server
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.server
ONE = InstanceId("gfa1", "n1")
NAME = "mCBM-gfa1"


@pytest.fixture(scope="module")
def registry(needs: Callable[[str], str]) -> Iterator[str]:
    with registry_server(needs) as place:
        yield place


@pytest.fixture
async def engine(docker: EngineServer, tmp_path: Path) -> AsyncGenerator[DockerEngine]:
    made = engine_of(docker.unix, tmp_path)
    await made.connect()
    try:
        yield made
    finally:
        for one in await made.instances():
            await made.remove(one.id, 0.0)
        await made.close()


def engine_of(reach: Reach, folder: Path, node: str = "n1") -> DockerEngine:
    return DockerEngine(SystemClock(), "mCBM", WantedNode(name=node, engine="docker", reach=reach), folder)


def order(change: str = "r1-0", id: InstanceId = ONE, **more: Any) -> MakeOrder:
    asked: dict[str, Any] = {"image": IMAGE, "network": "none", "command": ("sleep", "600"), **more}
    spec = ServiceSpec(**asked)
    return MakeOrder(id=id, spec=spec, digest=digest(spec), revision=1, change=change, secrets={"TOKEN": "rosebud"})


async def only(engine: DockerEngine) -> EngineInstance:
    (one,) = await engine.instances()
    return one


class Killed(BaseException):
    """The keeper is killed with -9 at this moment."""


def kill_at(engine: DockerEngine, step: int) -> None:
    """End the keeper before its change number `step`: nothing of it reaches the engine from then on."""
    client = engine._docker  # pyright: ignore[reportPrivateUsage]
    ask, done = client._do_query, 0

    async def counted(*words: Any, **more: Any) -> Any:
        nonlocal done
        if (more.get("method") or words[1]) in ("POST", "DELETE"):
            done += 1
        if done >= step:
            raise Killed
        return await ask(*words, **more)

    client._do_query = counted


STEPS = ("made", "stopped", "started", "removed", "renamed")


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1), ids=[f"before it is {what}" for what in STEPS])
async def test_a_keeper_killed_in_a_replacement_leaves_one_to_the_next(
    step: int, docker: EngineServer, engine: DockerEngine, tmp_path: Path
) -> None:
    await engine.make(order())
    killed = engine_of(docker.unix, tmp_path)
    await killed.connect()
    kill_at(killed, step)
    with pytest.raises(Killed):
        await killed.replace(order("r2-0"), 0.0)
    await killed.close()

    await engine.connect()
    one = await only(engine)
    assert one.is_running and one.change == ("r1-0" if step <= STEPS.index("started") + 1 else "r2-0")
    names = docker.client("ps", "--all", "--format", "{{.Names}} {{.State}}").split("\n")
    assert [name for name in names if name] == [f"{NAME} running"]

    await engine.replace(order("r2-0"), 0.0)
    assert (await only(engine)).change == "r2-0"


@pytest.mark.parametrize("step", [2, 4], ids=["made", "started"])
async def test_what_a_late_keeper_leaves_beside_the_next_one_is_put_right_by_a_look(
    step: int, docker: EngineServer, engine: DockerEngine, tmp_path: Path
) -> None:
    await engine.make(order())
    late = engine_of(docker.unix, tmp_path)
    await late.connect()
    kill_at(late, step)
    with pytest.raises(Killed):
        await late.replace(order("r2-0"), 0.0)
    await late.close()

    one = await only(engine)  # it has been connected all the time
    assert one.is_running and one.change == ("r1-0" if step == 2 else "r2-0")
    assert docker.client("ps", "--all", "--format", "{{.Names}} {{.State}}").strip() == f"{NAME} running"


async def test_a_keeper_without_the_lease_neither_goes_on_nor_back(engine: DockerEngine, docker: EngineServer) -> None:
    await engine.make(order())
    answers = iter([True])  # it stood still after the new container was made
    engine.may_act = lambda: next(answers, False)
    with pytest.raises(LinkError, match="does not keep the fleet any more"):
        await engine.replace(order("r2-0"), 0.0)
    states = docker.client("ps", "--all", "--format", "{{.Names}} {{.State}}").splitlines()
    assert sorted(states) == [f"{NAME} running", f"{NAME}.next created"]
    engine.may_act = lambda: True
    assert (await only(engine)).change == "r1-0"


async def test_only_what_has_the_labels_of_this_experiment_and_node_is_ours(
    docker: EngineServer, engine: DockerEngine, tmp_path: Path
) -> None:
    foreign = docker.client("run", "--detach", "--network=none", "--name=mCBM-gfa10", IMAGE, "sleep", "600").strip()
    other = engine_of(docker.unix, tmp_path, "n2")
    await other.connect()
    far = InstanceId("gfa2", "n2")
    try:
        await other.make(order(id=far))
        await engine.make(order())
        assert [one.id for one in await engine.instances()] == [ONE]
        await engine.remove(ONE, 0.0)
        assert (await only(other)).is_running
        assert foreign[:12] in docker.client("ps", "--quiet")
    finally:
        await other.remove(far, 0.0)
        await other.close()
        docker.client("rm", "--force", foreign)


async def test_a_container_is_made_as_its_service_says(docker: EngineServer, engine: DockerEngine) -> None:
    scratch = Volume(source="scratch", target="/scratch", driver="local", options={"type": "tmpfs", "device": "tmpfs"})
    folder = Volume(source="/etc", target="/host", read_only=True)
    await engine.make(
        order(
            devices=("/dev/null",),
            user="7:7",
            limits=ResourceLimits(cpus=0.5, memory_bytes=64 << 20),
            volumes=(folder, scratch),
            environment={"OBSERVATORY": "APO"},
        )
    )
    (shown,) = json.loads(docker.client("inspect", NAME))
    host = shown["HostConfig"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped" and not host["AutoRemove"] and not host["Privileged"]
    assert (host["Memory"], host["NanoCpus"], shown["Config"]["User"]) == (64 << 20, 500_000_000, "7:7")
    assert {one["Destination"]: one["RW"] for one in shown["Mounts"]} == {"/host": False, "/scratch": True}
    assert "rosebud" not in json.dumps(shown["Config"]["Labels"])
    status, output = await engine.execute(ONE, ["sh", "-c", "echo $TOKEN $OBSERVATORY; test -c /dev/null"], 5.0)
    assert (status, output.strip()) == (0, "rosebud APO")

    docker.client("update", "--memory=128m", "--memory-swap=128m", "--cpus=1", NAME)
    assert (await only(engine)).drift == ("limits.cpus 0.5 → 1", "limits.memory 0.0625 GiB → 0.125 GiB")
    with pytest.raises(DeviceError, match="another driver or other options"):
        other = Volume(source="scratch", target="/s", options={"type": "nfs"})
        await engine.replace(order("r2-0", volumes=(other,)), 0.0)
    assert (await only(engine)).is_running


async def test_a_crash_is_told_with_its_status_and_last_line_and_leaves_its_log(engine: DockerEngine) -> None:
    changes = engine.changes()
    async with asyncio.timeout(PATIENCE_S), aclosing(changes):
        await engine.make(order(command=("sh", "-c", "echo exposing; echo no disk; exit 7"), restart="on-failure"))
        while True:
            one = await only(engine)
            if not one.is_running and one.crashes >= 2:
                break
            await anext(changes)
    assert (one.exit_status, one.reason) == (7, "no disk")
    assert "exposing" in [line.text async for line in engine.logs(ONE, tail=50)]


async def test_images_are_pulled_by_name_and_digest_and_a_failed_pull_changes_nothing(
    docker: EngineServer, engine: DockerEngine, registry: str
) -> None:
    image = f"{registry}/apogee/camera:2.4"
    docker.client("tag", IMAGE, image)
    docker.client("push", image)
    docker.client("rmi", image)
    assert image not in await engine.images()
    await engine.make(order())
    with pytest.raises(DeviceError, match="could not be pulled"):
        await engine.pull(f"{registry}/apogee/camera:2.5", lambda done, whole: None)
    assert (await only(engine)).is_running
    await engine.pull(image, lambda done, whole: None)
    (exact,) = json.loads(docker.client("image", "inspect", "--format", "{{json .RepoDigests}}", image))
    assert {image, exact} <= await engine.images()
    await engine.replace(order("r2-0", image=exact), 0.0)
    assert (await only(engine)).change == "r2-0"


async def test_an_engine_that_is_away_or_asks_for_tls_is_told(docker: EngineServer, tmp_path: Path) -> None:
    assert docker.tls
    away = f"tcp://127.0.0.1:{free_port()}"
    other = tmp_path / "other"
    other.mkdir()
    make_certificates(other)
    strange = msgspec.structs.replace(docker.tls, ca=str(other / "ca.pem"))
    for reach, said in (
        (Reach(url=away, insecure=True), f"n1 is not reached at {away}: Connection refused"),
        (Reach(url=docker.tls.url, insecure=True), "Client sent an HTTP request to an HTTPS server"),
        (strange, "certificate verify failed"),
        (Reach(url=f"unix://{tmp_path}/none"), "No such file or directory"),
        (Reach(url=away), "has no TLS"),
        (msgspec.structs.replace(docker.tls, key="none.key"), "cannot be used: No such file or directory"),
    ):
        engine = engine_of(reach, tmp_path)
        with pytest.raises((LinkError, DeviceError, ConfigurationError), match=re.escape(said)):
            await engine.connect()
        await engine.close()


async def test_the_output_is_followed(engine: DockerEngine) -> None:
    await engine.make(order(command=("sh", "-c", "echo one; sleep 0.3; echo two; exec sleep 600")))
    seen: list[str] = []
    async with asyncio.timeout(PATIENCE_S), aclosing(engine.logs(ONE, tail=10, follow=True)) as lines:
        async for line in lines:
            seen.append(line.text)
            if line.text == "two":
                break
    assert seen == ["one", "two"]


def open_connections(engine: DockerEngine) -> Any:
    """Those on which an answer is still read."""
    return engine._docker.session.connector._acquired  # pyright: ignore[reportPrivateUsage]


async def test_the_log_of_a_container_that_was_replaced_or_removed_is_kept(
    docker: EngineServer, tmp_path: Path
) -> None:
    engine = DockerEngine(
        SystemClock(), "mCBM", WantedNode(name="n1", engine="docker", reach=docker.unix), tmp_path, LogArchive(tmp_path)
    )
    await engine.connect()

    async def read(tail: int = 50) -> list[str]:
        return [line.text for line in [line async for line in engine.logs(ONE, tail=tail)]]

    try:
        await engine.make(order(command=("sh", "-c", "trap 'echo ended; exit' TERM; echo one; sleep 600 & wait")))
        await engine.replace(order("r2-0", command=("sh", "-c", "echo two; exec sleep 600")), 2.0)
        async with asyncio.timeout(PATIENCE_S):
            while "two" not in (text := await read()):
                await asyncio.sleep(0.02)
        assert text[:2] == ["one", "ended"] and "end of the log of" in text[2] and text[3:] == ["two"]
        assert await read(1) == ["two"]
        async with aclosing(engine.logs(ONE, tail=3, follow=True)) as lines:
            assert [(await anext(lines)).text for _ in range(3)][-1] == "two"
        assert not open_connections(engine)
        await engine.remove(ONE, 0.0)
        assert (await read())[3] == "two"
    finally:
        await engine.remove(ONE, 0.0)
        await engine.close()


async def test_what_containers_use_and_the_clock_of_the_engine_are_told(engine: DockerEngine) -> None:
    await engine.make(order(command=("sh", "-c", "while :; do :; done")))
    first = await engine.use()
    assert first.clock_offset_s is not None and abs(first.clock_offset_s) < PATIENCE_S
    assert first.host is None and first.instances[ONE].ends == 0
    assert "MemAvailable" in (await engine.execute(ONE, ("sh", "-c", SCRIPT), PATIENCE_S))[1]
    if (before := first.instances[ONE].cpu_s) is not None:  # an engine without control groups tells none
        assert ((await engine.use()).instances[ONE].cpu_s or 0.0) >= before


async def test_the_bytes_of_a_pull_are_told(docker: EngineServer, engine: DockerEngine, registry: str) -> None:
    image, packed = f"{registry}/apogee/big:1", io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        entry = tarfile.TarInfo("noise")
        entry.size = 3 << 20
        file.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    docker.client("import", "-", image, given=packed.getvalue())
    docker.client("push", image)
    docker.client("rmi", image)
    told: list[tuple[int, int]] = []
    await engine.pull(image, lambda done, whole: told.append((done, whole)))
    assert told and 3 << 20 < told[-1][0] == told[-1][1] < 4 << 20
    assert await engine.platform() in ("linux/amd64", "linux/arm64")
    docker.client("rmi", image)
