"""A backup of an experiment under load is restored to one that equals the original at one moment, and goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from countingroom.cli.main import run
from tests.system.running import Running, until, up

CHILLER = """
devices:
  chiller: {driver: julabo, port: /dev/ttyUSB0}
backup:
  key: {file: FOLDER/key}
"""


def here(*words: str | Path) -> int:
    """The status of a command that is run in this process."""
    return run([*map(str, words)])


def backup(*words: str | Path) -> Any:
    """A backup, in a process of its own, whose priority is low."""
    program = (sys.executable, "-m", "countingroom", "backup", "--json", *map(str, words))
    ended = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cbm")
    assert here("example", "cbm", "--detectors", "1", "--pause", "0.05", "-o", folder) == 0
    file = folder / "experiment.yaml"
    file.write_text(file.read_text() + CHILLER.replace("FOLDER", str(folder)))
    assert here("backup", "key", folder / "private") == 0
    (folder / "key").write_text((folder / "private").read_text().split()[3] + "\n")  # the public one is enough
    return file


def ask(one: Running, action: str, target: str = "partitions/mCBM", **arguments: Any) -> None:
    body = {"arguments": arguments, "wait_s": 15}
    answer = one.http.post(f"/api/v1/{target}/commands/{action}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"]["kind"] == "done", answer.text


def free(one: Running) -> None:
    until(lambda: one.get("/partitions/mCBM")["partition"]["refusals"]["goal"] is None, "the partition is owned")


def save(one: httpx.Client, number: int) -> None:
    arguments = {"system": "STS", "tag": "load", "parameters": json.dumps({"number": number})}
    body = {"arguments": arguments, "wait_s": 15}
    answer = one.post("/api/v1/experiment/commands/save_configuration", json=body)
    assert answer.status_code == 200, answer.text


@contextmanager
def load(one: Running) -> Generator[None]:
    """Configurations are saved all the time, each as a transaction, events and audit entries."""
    over = threading.Event()

    def work() -> None:
        with httpx.Client(base_url=one.url, timeout=20) as http:
            number = 0
            while not over.is_set():
                number += 1
                save(http, number)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def revisions(one: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = one.get("/configurations/STS/history", tag="load", limit=1000)["history"]
    return sorted(found, key=lambda each: each["revision"])


def samples(one: Running, until_ns: int) -> list[list[Any]]:
    hour_ns = 3600 * 10**9
    asked = {"point": "chiller.internal_temp", "from": until_ns - hour_ns, "to": until_ns, "max_points": 5000}
    answer = one.get("/history", **asked)
    return [list(row) for row in zip(answer["time_ns"], answer["mean"], strict=True)]


def check_refusals(
    file: Path, used: Path, into: Path, key: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is used, a missing key, and a damaged file."""
    assert b"chiller" not in file.read_bytes()
    damaged = file.with_name("damaged")
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    damaged.write_bytes(whole)
    assert here("backup", "verify", file) == 2
    assert here("restore", file, "--into", used, *key) == 1
    assert here("restore", damaged, "--into", into, *key) == 1
    told = capsys.readouterr().err
    assert all(one in told for one in ("is encrypted", "is not empty", "the backup is damaged")), told
    assert not into.exists()


@pytest.mark.timeout(180)
def test_a_backup_under_load_is_the_experiment_at_one_moment_and_goes_on(
    description: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, file, into = tmp_path / "data", tmp_path / "bench.backup.age", tmp_path / "new"
    with up(description, data, "--simulate", status=-9) as one:
        free(one)
        ask(one, "configure_all")
        ask(one, "start")
        with load(one):
            until(lambda: len(revisions(one)) > 3, "the load has begun")
            made = backup("--data", data, "--to", file)
        ask(one, "stop")
        ask(one, "start")  # a number that the backup does not know
        assert made["checked"]
        moment_ns = made["moment_ns"]
        before = revisions(one)
        events = one.get("/events", limit=1000)["events"]
        recorded = until(lambda: samples(one, moment_ns), "samples")
        one.process.kill()

    key = ("--key", description.parent / "private")
    assert here("backup", "verify", file, *key, "--json") == 0
    manifest = json.loads(capsys.readouterr().out)["manifest"]
    check_refusals(file, data, into, key, capsys)
    assert here("restore", file, "--into", into, *key) == 0
    assert "the next run is 3: the original's last is known" in capsys.readouterr().out
    with up(into / "description" / "experiment.yaml", into / "data", "--simulate") as two:
        until(lambda: two.http.get("/readyz").status_code == 200, "it is ready")
        after = revisions(two)
        assert 3 < len(after) < len(before)
        assert after == before[: len(after)]
        assert after[-1]["saved_ns"] <= moment_ns
        assert before[len(after)]["saved_ns"] > moment_ns - 1e9
        last = manifest["events"]["last"]
        kept = [each for each in events if each["sequence"] <= last]
        again = [each for each in two.get("/events", limit=1000)["events"] if each["sequence"] <= last]
        assert again == kept
        assert {each["number"]: each["end"] for each in two.get("/runs")["runs"]} == {1: "owner died"}
        assert two.get("/partitions/mCBM")["partition"]["run"] in (None, 0)
        history = until(lambda: samples(two, moment_ns), "the history has taken in the last readings")
        assert history == recorded[: len(history)]
        assert len(recorded) - len(history) <= 1  # sent in the moment
        free(two)
        ask(two, "configure_all")
        ask(two, "start")
        assert max(each["number"] for each in two.get("/runs")["runs"]) == 3
