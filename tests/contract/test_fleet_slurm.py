"""What the engine of Slurm does beside what every engine does, on a real cluster of two hosts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.fleet.batch_jobs import ClusterAccess, JobOptions
from countingroom.core.fleet.specs import InstanceId, ResourceLimits, ServiceSpec, WantedNode, digest
from countingroom.fleet.engines import slurm_commands, slurm_records
from countingroom.fleet.engines.port import EngineInstance, MakeOrder
from countingroom.fleet.engines.slurm import SlurmEngine
from tests.patience import PATIENCE_S
from tests.slurm_server import SlurmServer

pytestmark = pytest.mark.server


@pytest.fixture
async def engine(slurm: SlurmServer, tmp_path: Path) -> AsyncGenerator[SlurmEngine]:
    made = engine_of(slurm, tmp_path, "first")
    await made.connect()
    try:
        yield made
    finally:
        await asyncio.gather(*(made.remove(one.id, 0.0) for one in await made.instances()))


def engine_of(server: SlurmServer, folder: Path, name: str) -> SlurmEngine:
    node = WantedNode(name=folder.name, engine="slurm", slurm=ClusterAccess(conf=str(server.conf), folder=name))
    return SlurmEngine(SystemClock(), "m CBM", node, folder / "unused", folder, look_s=0.1)


def order(folder: Path, *command: str, index: int = 0, change: str = "r1-0", **more: object) -> MakeOrder:
    spec = ServiceSpec(command=command, **more)  # type: ignore[arg-type]
    id = InstanceId("daq", folder.name, index)
    return MakeOrder(id=id, spec=spec, digest=digest(spec), revision=1, change=change, secrets={"TOKEN": "rosebud"})


async def until(engine: SlurmEngine, is_so: Callable[[dict[int, EngineInstance]], bool]) -> dict[int, EngineInstance]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = {one.id.index: one for one in await engine.instances()}
            if is_so(found):
                return found
            await asyncio.sleep(0.1)


async def text_of(engine: SlurmEngine, id: InstanceId) -> str:
    return "\n".join([line.text async for line in engine.logs(id, tail=20)])


async def test_copies_are_one_array_and_end_and_start_again_alone(
    engine: SlurmEngine, slurm: SlurmServer, tmp_path: Path
) -> None:
    def copy(index: int) -> MakeOrder:
        words = (
            "sh",
            "-c",
            'echo "it\'s $NAME ${#TOKEN} in $(pwd)"; test "$NAME" != "daq 1" || exit 3; exec sleep 600',
        )
        return order(tmp_path, *words, index=index, environment={"NAME": f"daq {index}"})

    await asyncio.gather(*(engine.make(copy(index)) for index in range(3)))
    found = await until(engine, lambda found: not found[1].is_running and not found[1].waits)
    arrays = {one.engine_id.partition("_")[0] for one in found.values()}
    assert len(found) == 3 and len(arrays) == 1 and found[0].is_running and found[2].is_running
    assert found[0].host in ("n1", "n2") and found[2].spec.environment == {"NAME": "daq 2"}
    assert (found[1].exit_status, found[1].crashes) == (3, 1) and found[1].reason == f"it's daq 1 7 in {tmp_path}"
    script = slurm.client("scontrol", "write", "batch_script", arrays.pop(), "-")
    assert "daq 2" in script and "rosebud" not in script + slurm.client("scontrol", "show", "jobs")

    await engine.start(found[1].id)
    again = await until(engine, lambda found: not found[1].is_running and not found[1].waits)
    assert again[1].crashes == 2 and again[0].engine_id == found[0].engine_id


async def test_a_keeper_without_files_finds_what_runs_and_ends_what_is_doubled(
    engine: SlurmEngine, slurm: SlurmServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(tmp_path, "sleep", "600", start_period_s=7.0)
    submit = slurm_commands.SlurmCommands.submit

    async def lost(*words: object) -> str:
        await submit(*words)  # type: ignore[arg-type]
        raise LinkError("sbatch did not answer within 15 s")

    with monkeypatch.context() as patch, pytest.raises(LinkError):
        patch.setattr(slurm_commands.SlurmCommands, "submit", lost)
        await engine.make(made)
    await engine.make(made)  # it finds the job that it does not know of
    other = engine_of(slurm, tmp_path, "other")
    found = (await until(other, lambda found: found[0].is_running))[0]
    assert (found.digest, found.spec, found.change) == (made.digest, made.spec, "r1-0")

    async def killed(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr(engine, "_end", killed)
        await engine.replace(order(tmp_path, "sleep", "500", change="r2-0"), 0.0)
    mine = "--name=m CBM-daq"
    async with asyncio.timeout(PATIENCE_S):
        while slurm.client("squeue", "-h", mine, "-t", "PD", "-o", "%r").strip() != "Dependency":
            await asyncio.sleep(0.1)
    assert (await other.instances())[0].engine_id == found.engine_id
    assert not slurm.client("squeue", "-h", mine, "-t", "PD").strip()


async def test_a_job_that_waits_or_loses_its_host_says_why(
    engine: SlurmEngine, slurm: SlurmServer, tmp_path: Path
) -> None:
    alone = JobOptions(hosts=("n2",), exclusive=True)
    await engine.make(order(tmp_path, "sleep", "600", slurm=alone))
    await engine.make(order(tmp_path, "sleep", "600", index=1, slurm=alone))
    # The controller tells why a job waits after it has looked at it, not as soon as the job is there.
    found = await until(engine, lambda found: found[0].is_running and "Resources" in found[1].reason)
    assert found[0].host == "n2" and found[1].waits and not found[1].is_running
    assert found[1].reason == "it waits for free resources (Resources)"
    try:
        slurm.client("scontrol", "update", "nodename=n2", "state=down", "reason=test")
        found = await until(engine, lambda found: not found[0].is_running)
    finally:
        with suppress(RuntimeError):  # it may be back by itself
            slurm.client("scontrol", "update", "nodename=n2", "state=resume")
    assert (found[0].exit_status, found[0].reason) == (None, "its host n2 failed")
    slurm.client("scancel", found[1].engine_id)
    found = await until(engine, lambda found: not found[1].waits)
    assert found[1].exit_status is None and found[1].reason.startswith("it was cancelled in Slurm")


@pytest.mark.parametrize("is_whole", [True, False], ids=["its host", "its slurmstepd"])
async def test_a_job_that_only_the_controller_believes_to_run_is_ended_and_started_again(
    engine: SlurmEngine, slurm: SlurmServer, tmp_path: Path, *, is_whole: bool
) -> None:
    """A host that is back within 11 s keeps its dead jobs as running; a killed slurmstepd leaves its program."""
    made = order(tmp_path, "sleep", "600", slurm=JobOptions(hosts=("n2",)))
    await engine.make(made)
    looking = asyncio.create_task(looks(engine))
    try:
        before = (await until(engine, lambda found: found[0].is_running))[0]
        async with asyncio.timeout(PATIENCE_S):
            while not (await engine.use()).instances[made.id].memory_bytes:
                await asyncio.sleep(0.1)
        if is_whole:
            slurm.kill("n2")
            slurm.hosts["n2"].start()
        else:
            slurm.kill_steps("n2")
        ended = (await until(engine, lambda found: not found[0].is_running and not found[0].waits))[0]
        assert ended.exit_status is None and ended.crashes == 1
        assert "Slurm still showed it as running" in ended.reason and "n2" in ended.reason
        assert ("slurmd of its host" in ended.reason) == is_whole
        assert not list(slurm.programs("n2"))
        await engine.start(made.id)
        after = (await until(engine, lambda found: found[0].is_running))[0]
        assert after.engine_id != before.engine_id
        async with asyncio.timeout(PATIENCE_S):  # the controller shows it before its program has begun
            while len(list(slurm.programs("n2"))) != 1:
                await asyncio.sleep(0.1)
    finally:
        looking.cancel()
        await asyncio.wait([looking])


@pytest.mark.parametrize(
    ("options", "memory", "said", "hint"),
    [
        (JobOptions(partition="long"), 0, "Invalid partition name specified", "sinfo -s"),
        (JobOptions(constraint="gpu"), 0, "Invalid feature specification", "%f"),
        (JobOptions(hosts=("n1", "n9")), 0, "Slurm has no host n9", "sinfo -N"),
        (JobOptions(), 1 << 40, "Requested node configuration is not available", "%c"),
    ],
)
async def test_what_the_cluster_refuses_is_told_and_leaves_what_runs(
    engine: SlurmEngine, tmp_path: Path, options: JobOptions, memory: int, said: str, hint: str
) -> None:
    refused = order(tmp_path, "true", slurm=options, limits=ResourceLimits(memory_bytes=memory))
    with pytest.raises(DeviceError, match=said) as told:
        await engine.make(refused)
    assert hint in told.value.cause.suggestion and not await engine.instances()


async def test_a_program_ends_by_itself_within_its_grace_and_its_log_is_bounded(
    engine: SlurmEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "trap 'echo closed; exit 0' TERM; seq 1000; while :; do sleep 0.05; done"
    made = order(tmp_path, "sh", "-c", program)
    await engine.make(made)
    await engine.instances()
    use = await engine.use()
    one = use.instances[made.id]
    assert one.memory_bytes and one.cpu_s is not None and one.ends == 0
    assert use.clock_offset_s == 0.0
    assert use.host and use.host.cores and use.host.busy_s and use.host.memory_used_bytes and use.host.disk_bytes
    log = tmp_path / "first" / "daq.0" / "log"
    async with asyncio.timeout(PATIENCE_S):
        while not (await text_of(engine, made.id)).endswith("1000"):
            await asyncio.sleep(0.1)
        monkeypatch.setattr(slurm_records, "LOG_BYTES", 100)
        looking = asyncio.create_task(looks(engine))
        while log.stat().st_size >= 100:
            await asyncio.sleep(0.02)
        looking.cancel()
        await asyncio.wait([looking])
    await engine.remove(made.id, 10.0)
    assert "closed" in (said := await text_of(engine, made.id)) and "\n1000\n" in said
    assert log.stat().st_size < 100 and not await engine.instances()


async def test_the_output_of_a_job_has_times(engine: SlurmEngine, slurm: SlurmServer, tmp_path: Path) -> None:
    began_ns = SystemClock().now_ns()
    told = tmp_path / "go"
    made = order(tmp_path, "sh", "-c", f"echo on; while [ ! -e {told} ]; do sleep 0.05; done; echo second; sleep 600")
    await engine.make(made)
    looking = asyncio.create_task(looks(engine))
    async with asyncio.timeout(PATIENCE_S):
        while await text_of(engine, made.id) != "on":
            await asyncio.sleep(0.1)
        looking.cancel()
        await asyncio.wait([looking])
        between_ns = SystemClock().now_ns()
        told.touch()
        log = tmp_path / "first" / "daq.0" / "log"
        while "second" not in log.read_text():
            await asyncio.sleep(0.1)
    # The next keeper: what was written in between is found with its time.
    for present in (engine_of(slurm, tmp_path, "first"), engine):
        first, second = [line async for line in present.logs(made.id, tail=9)]
        assert (first.text, second.text) == ("on", "second")
        assert began_ns - 1e8 <= first.time_ns <= between_ns and second.time_ns >= between_ns - 1e8
        later = [line.text async for line in present.logs(made.id, tail=9, since_ns=first.time_ns + 1)]
        assert later == ["second"]


async def looks(engine: SlurmEngine) -> None:
    """Those of the engine at jobs and logs."""
    async for _ in engine.changes():
        pass


async def test_a_controller_that_hangs_or_is_not_there_is_a_lost_node(
    engine: SlurmEngine, slurm: SlurmServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_commands, "CALL_S", 0.3)
    os.kill(slurm.controller.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LinkError, match=r"squeue did not answer within 0\.3 s"):
            await engine.instances()
    finally:
        os.kill(slurm.controller.pid, signal.SIGCONT)
    node = WantedNode(name="n", slurm=ClusterAccess(conf=str(tmp_path / "none.conf")))
    with pytest.raises(LinkError):
        await SlurmEngine(SystemClock(), "mCBM", node, tmp_path, tmp_path).connect()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LinkError, match="squeue cannot be run on this computer"):
        await SlurmEngine(SystemClock(), "mCBM", WantedNode(name="n"), tmp_path, tmp_path).connect()
