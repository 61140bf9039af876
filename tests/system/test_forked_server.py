"""The fork server as a fork of `up`: its processes have nothing open that `up` had, and its exit statuses come back."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from countingroom.app.forked_server import forked_server
from tests.patience import PATIENCE_S

PROGRAM = """
import asyncio, fcntl, json, os, sys, tempfile
from pathlib import Path
from countingroom.app.child_process import launch_by
from countingroom.app.forked_server import forked_server

lock = open(sys.argv[1], "a+b")
fcntl.flock(lock, fcntl.LOCK_EX)

async def main(path):
    child = await launch_by(path)([sys.executable, "-m", "forked", "word"], None)
    found = json.loads(await child.stdout.readline())
    child.stdin.write(b"\\n")
    said = await child.stdout.read()
    print(json.dumps(found | {"status": await child.wait(), "said": said.decode()}), flush=True)
    if len(sys.argv) > 2:
        sys.stdin.readline()

with forked_server(["forked"], Path()) as path:
    asyncio.run(main(path))
print(json.dumps({"pid": os.getpid(), "is_left": path.parent.exists(), "shares": "forked" in sys.modules}))
"""
FORKED = """
import atexit, json, os, sys
if __name__ == "__main__":
    files = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if int(one) > 2 and
             os.path.exists(f"/proc/self/fd/{one}")]
    print(json.dumps({"argv": sys.argv[1:], "imported": len(sys.modules), "group": os.getpgid(0) == os.getpid(),
                      "files": files, "arenas": os.environ.get("MALLOC_ARENA_MAX")}), flush=True)
    sys.stdin.readline()
    atexit.register(sys.stdout.write, "registered for the end")  # and not flushed
    sys.exit(7)
"""


def _program(folder: Path, *more: str) -> subprocess.Popen[str]:
    (folder / "forked.py").write_text(FORKED)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder / "lock"), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(folder)},
    )


def test_a_forked_process_is_as_one_started_by_exec(tmp_path: Path) -> None:
    with _program(tmp_path) as program:
        lines = [json.loads(line) for line in program.communicate(timeout=60)[0].splitlines()]
    child, parent = lines  # each line once: no fork went on with the program of its parent
    assert (child["argv"], child["status"], child["group"], child["arenas"]) == (["word"], 7, True, "2")
    assert child["said"] == "registered for the end"
    assert [one for one in child["files"] if "lock" in one or one.startswith("socket")] == []
    assert child["imported"] > 300  # those of the parent, and `json` alone would be 60
    assert parent == {"pid": program.pid, "is_left": False, "shares": True}  # what it imported, the fork need not


def test_a_killed_parent_leaves_no_lock_behind(tmp_path: Path) -> None:
    with _program(tmp_path, "wait") as program:
        assert program.stdout and json.loads(program.stdout.readline())["status"] == 7
        with (tmp_path / "lock").open("a+b") as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            program.kill()
            program.wait(PATIENCE_S)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countingroom.app.forked_server._threads", lambda: 2)
    with forked_server([], Path()) as path:
        assert path is None
