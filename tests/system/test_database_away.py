"""While PostgreSQL is down everything goes on: processes start without it, and their records are stored later."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.storage.postgres import Postgres
from tests.system.running import Running, until, up

pytestmark = pytest.mark.server
POISON = (
    b"\xff\xfe",
    b"[" * 3000,
    b'{"time_ns": 5, "who": "a", "what": "%s", "outcome": "accepted"}' % (b"x" * 300_000),
    b'{"type": "note", "run": 1, "note": {"time_ns": 1, "kind": "comment", "text": "\\u0000"}}',
    b'{"half',
)


def partition(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = running.get("/partitions/mCBM")["partition"]
    return found


def act(running: Running, command: str, **arguments: Any) -> int:
    body = {"arguments": arguments, "wait_s": 15}
    answer = running.http.post(f"/api/v1/partitions/mCBM/commands/{command}", json=body)
    return answer.status_code


def hostile_files(folder: Path) -> None:
    """What a person, a damaged disk or another program may leave among the files that wait."""
    folder.mkdir(exist_ok=True)
    (folder / "waiting-1.jsonl").write_bytes(b"\n".join(POISON))
    os.mkfifo(folder / "waiting-2.jsonl")
    (folder / "waiting-3.jsonl").symlink_to(folder / "elsewhere")
    with (folder / "waiting-4.jsonl").open("wb") as huge:
        huge.truncate(1 << 40)


def has_end(run: dict[str, Any], wanted: str) -> bool:
    """KeyError with the end that it has, and its causes, where that is another one: `until` tells it."""
    if run["end"] and run["end"] != wanted:
        raise KeyError(f"{run['end']}: {run.get('causes') or run.get('cause')}")
    return run["end"] == wanted


def test_processes_start_again_without_the_database_and_nothing_is_lost(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    server = Postgres(needs("initdb"))
    server.start()
    try:
        words = ["example", "cbm", "--detectors", "2", "--pause", "0.05", "-o", str(tmp_path / "cbm")]
        subprocess.run([sys.executable, "-m", "countingroom", *words], check=True, capture_output=True, timeout=60)
        description = tmp_path / "cbm" / "experiment.yaml"
        description.write_text(f"{description.read_text()}\nstorage: {{ url: '{server.database()}' }}\n")
        with up(description, tmp_path / "data") as running:
            until(lambda: partition(running)["refusals"]["goal"] is None, "the partition is owned")
            assert act(running, "goal", state="Recording", tag="physics") == 200
            until(lambda: partition(running)["state"] == "Recording", "a run is on")
            run = partition(running)["run"]
            server.halt()
            assert act(running, "stop") == 200
            for name in ("audit", "run-book"):
                hostile_files(tmp_path / "data" / name)
            before = {name: running.role(name).pid for name in ("console", "runs")}
            for name in before:
                running.role(name).kill()
            until(lambda: running.role("console").pid != before["console"], "the console is started again")
            until(lambda: running.http.get("/healthz").status_code == 200, "the console answers without a database")
            until(
                lambda: act(running, "abort") == 202, "an abort is sent to the systems without a database and an owner"
            )
            assert running.http.get("/readyz").status_code == 503
            server.resume()
            until(lambda: running.http.get("/readyz").status_code == 200, "all is right again", deadline_s=120)
            until(lambda: has_end(running.get(f"/runs/{run}"), "stopped"), "the run has its end")
            entries = running.get("/audit", limit=1000, outcome="accepted")["entries"]
            done = [one["what"] for one in reversed(entries) if one["what"] in ("goal", "stop", "abort")]
            assert done == ["goal", "stop", "abort"]
    finally:
        server.stop()
