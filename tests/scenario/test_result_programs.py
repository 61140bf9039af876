"""Programs of results really run here: each end is recorded as it was, with what the program had written."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from countingroom.core import subjects
from countingroom.core.messages import DeviceState, Link, encode
from countingroom.core.results import NewResult, ResultState, StoredResult
from countingroom.results import program, store
from countingroom.results.program import ResultLog
from tests.console.results_stage import ResultStage, programs, result_stage
from tests.console.runs_stage import partition
from tests.patience import PATIENCE_S

COMMANDS = "/api/v1/results/programs/{}/commands/{}"
SLOW = """
import os, subprocess, sys, time
open(os.environ["COUNTINGROOM_OUTPUT"] + "/first.json", "w").write('{"a": 1}')
child = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[ResultStage]:
    async with result_stage(tmp_path) as made:
        yield made


async def ended(here: ResultStage, number: int) -> StoredResult:
    """The result, when it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await here.store.get(number)).ended_ns is None:
            await asyncio.sleep(0.02)
    return found


async def start(client: Any, name: str, **arguments: Any) -> int:
    answer = await client.post(COMMANDS.format(name, "start"), json={"arguments": arguments, "wait_s": 20})
    assert answer.status_code == 200, answer.text
    return answer.json()["outcome"]["data"]["result"]


def python(code: str, **more: Any) -> dict[str, Any]:
    return {"command": ["{python}", "-ISc", code], **more}


async def test_a_program_that_ends_well_leaves_documents_arrays_versions_and_log(here: ResultStage) -> None:
    async with here.service(programs()), here.served() as (_, client):
        number = await start(client, "scan", comment="after the repair", parameters='{"steps": 5}')
        found = await ended(here, number)
        assert (found.state, found.cause, found.problems) == (ResultState.COMPLETED, None, ())
        assert [one.name for one in found.documents] == ["summary"]
        assert [one.name for one in found.arrays] == ["curve", "noise"]
        assert found.versions == {"countingroom": "0.0.1", "scan": "2"}
        assert found.configuration["parameters"] == {"steps": 5, "module": "top"}
        assert (found.by, found.comment) == ("local", "after the repair")
        assert msgspec.json.decode(await here.store.document(number, "summary"))["steps"] == 5
        assert (await here.store.log(number)).endswith(b"all done\n")
        assert not (here.store.folder(number) / "output").exists()
        for arguments, code in (({"parameters": '{"other": 1}'}, 422), ({"parameters": "[]"}, 422), ({"x": 1}, 422)):
            refused = await client.post(COMMANDS.format("scan", "start"), json={"arguments": arguments})
            assert refused.status_code == code
        assert (await client.post(COMMANDS.format("scan", "stop"))).status_code == 409
        assert (await client.post(COMMANDS.format("none", "start"))).status_code == 404


@pytest.mark.parametrize(
    ("code", "more", "said"),
    [
        ("print('no beam'); raise SystemExit(3)", {}, "ended with status 3: no beam"),
        ("import os; os.kill(os.getpid(), 9)", {}, "was ended by SIGKILL"),
        ('print(\'{"error": "the module is not there"}\')', {}, "the module is not there"),
        (SLOW, {"time_limit": 0.3, "grace": 0.2}, "longer than its limit of 0.3 s"),
    ],
)
async def test_a_program_that_fails_says_why(here: ResultStage, code: str, more: Any, said: str) -> None:
    async with here.service(programs(bad=python(code, **more))), here.served() as (_, client):
        found = await ended(here, await start(client, "bad"))
    assert found.state is ResultState.FAILED
    assert found.cause
    assert said in found.cause.message


async def test_the_values_of_an_environment_reach_the_program_and_no_viewer(here: ResultStage) -> None:
    code = "import os; print(len(os.environ['TOKEN']))"
    async with here.service(programs(one=python(code, environment={"TOKEN": "rosebud"}))), here.served() as (_, client):
        number = await start(client, "one")
        assert (await ended(here, number)).configuration["environment"] == ["TOKEN"]
        assert await here.store.log(number) == b"7\n"
        assert "rosebud" not in (await client.get(f"/api/v1/results/{number}")).text


async def test_a_program_that_cannot_be_started_leaves_a_failed_result(here: ResultStage) -> None:
    async with here.service(programs(bad={"command": ["/nothing/here"]})), here.served() as (_, client):
        answer = await client.post(COMMANDS.format("bad", "start"), json={"wait_s": 20})
        assert answer.json()["outcome"]["kind"] == "failed"
        assert (await ended(here, 1)).state is ResultState.FAILED
        assert await start(client, "scan") == 2  # the next start is free


async def test_a_stopped_program_ends_with_its_children_and_keeps_what_it_wrote(here: ResultStage) -> None:
    section = programs(slow=python(SLOW, grace=5))
    async with here.service(section), here.served() as (_, client):
        number = await start(client, "slow")
        child = int(await logged(here, number))
        twice = await client.post(COMMANDS.format("slow", "start"))
        assert twice.json()["cause"]["code"] == "runs_already"
        assert (await client.post(COMMANDS.format("slow", "stop"), json={"wait_s": 20})).status_code == 200
        found = await ended(here, number)
    assert (found.state, [one.name for one in found.documents]) == (ResultState.STOPPED, ["first"])
    assert found.cause
    assert "local stopped it" in found.cause.message
    assert not alive(child)


async def test_when_countingroom_stops_the_program_is_ended_and_its_result_interrupted(here: ResultStage) -> None:
    async with here.service(programs(slow=python(SLOW))), here.served() as (_, client):
        number = await start(client, "slow")
        await logged(here, number)
    found = await here.store.get(number)
    assert (found.state, [one.name for one in found.documents]) == (ResultState.INTERRUPTED, ["first"])


async def test_what_a_killed_process_left_is_ended_and_kept_by_the_next_one(here: ResultStage) -> None:
    left = await here.store.begin(NewResult(program="slow", by="anna", started_ns=here.clock.now_ns()))
    output = here.store.folder(left.number) / "output"
    output.mkdir(parents=True)
    (output / "half.json").write_text('{"a": ')
    process = subprocess.Popen(
        [sys.executable, "-ISc", SLOW],
        env=os.environ | {program.OUTPUT: str(output)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        child = int(process.stdout.readline()) if process.stdout else 0
        async with here.service(programs()):
            found = await ended(here, left.number)
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert not alive(child)
    finally:
        process.kill()
        process.communicate()
    assert (found.state, [one.name for one in found.documents]) == (ResultState.INTERRUPTED, ["first"])
    assert found.problems[0].startswith("half.json: the document half is no JSON")
    assert (output / "half.json").exists()


async def test_a_full_disk_is_a_failure_that_is_told(here: ResultStage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> ResultLog:
        return ResultLog(Path("/dev/full"))

    monkeypatch.setattr("countingroom.results.program_target.ResultLog", full)
    async with here.service(programs()), here.served() as (_, client):
        found = await ended(here, await start(client, "scan"))
    assert found.state is ResultState.FAILED
    assert found.cause
    assert "No space left on device" in found.cause.message
    assert [one.name for one in found.documents] == ["summary"]


async def test_a_program_needs_its_devices(here: ResultStage) -> None:
    state = DeviceState(device="caen", state="OFF", common="off", since_ns=1, link=Link.DISCONNECTED)
    await here.bus.client().put(subjects.STATE_BUCKET, subjects.device_key("caen"), encode(state))
    async with here.service(programs(careful=python("", devices=["caen"]))), here.served() as (_, client):
        refused = await client.post(COMMANDS.format("careful", "start"))
        assert refused.json()["cause"]["code"] == "not_connected"
        connected = msgspec.structs.replace(state, link=Link.CONNECTED)
        await here.bus.client().put(subjects.STATE_BUCKET, subjects.device_key("caen"), encode(connected))
        assert (await ended(here, await start(client, "careful"))).state is ResultState.COMPLETED


def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "LOG_BYTES", 100)
    monkeypatch.setattr(program, "_TAIL", 20)
    log = ResultLog(tmp_path / "log")
    for number in range(100):
        log.write(b"line %03d\n" % number)
    log.close()
    kept = (tmp_path / "log").read_bytes()
    assert kept.startswith(b"line 000\n")
    assert kept.endswith(b"line 099\n")
    assert b"bytes are left out here" in kept
    assert len(kept) < 200


async def logged(here: ResultStage, number: int) -> bytes:
    """The first line of the log."""
    async with asyncio.timeout(PATIENCE_S):
        while b"\n" not in (log := await here.store.log(number)):
            await asyncio.sleep(0.02)
    return log.partition(b"\n")[0]


def alive(pid: int) -> bool:
    """Whether the process runs, and is no zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


async def test_a_program_does_not_run_beside_a_partition_that_records(here: ResultStage) -> None:
    bus, key = here.bus.client(), subjects.partition_key("mCBM")
    async with here.service(programs(careful=python("", partitions=["mCBM"]))), here.served() as (_, client):
        for state, code in ((None, "unknown_partition"), (partition("mCBM", run=7), "records")):
            if state:
                await bus.put(subjects.STATE_BUCKET, key, encode(state))
            refused = await client.post(COMMANDS.format("careful", "start"))
            assert refused.json()["cause"]["code"] == code
        await bus.put(subjects.STATE_BUCKET, key, encode(partition("mCBM")))
        assert (await ended(here, await start(client, "careful"))).state is ResultState.COMPLETED


async def test_a_disk_that_is_full_before_the_last_part_keeps_the_rest_where_it_is(
    here: ResultStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = here.store.folder(1)  # of a result that the database does not have
    other.mkdir(parents=True)
    (other / "log.txt").write_text("of another result")
    write = store._write  # pyright: ignore[reportPrivateUsage]

    def full(path: Path, content: bytes) -> None:
        if path.name == "noise.parquet":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(store, "_write", full)
    async with here.service(programs()), here.served() as (_, client):
        found = await ended(here, await start(client, "scan"))
    assert (found.state, found.cause and found.cause.code) == (ResultState.FAILED, "not_kept")
    assert [one.name for one in (*found.documents, *found.arrays)] == ["summary", "curve"]
    assert (here.store.folder(1) / "output" / "noise.csv").exists()
    assert await here.store.log(1) == b'{"progress": 0.5, "comment": "half", "versions": {"scan": "2"}}\nall done\n'
    assert [one.read_text() for one in here.folder.glob("other-*/log.txt")] == ["of another result"]


def test_texts_that_a_program_tells_are_cut() -> None:
    said = program.Said()
    said.take(json.dumps({"counters": {"a" * 9999: "b" * 9999, "n": 1}, "versions": {"v": "c" * 9999}}))
    assert max(map(len, (*said.counters, str(said.counters), said.versions["v"]))) < 1100
    assert said.counters["n"] == 1
