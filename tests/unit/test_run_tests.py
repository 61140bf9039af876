"""`make test` runs failed tests once more, alone, and says which of them are unstable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server
RUN = Path(__file__).parents[2] / "tools" / "run_tests.py"
SECOND_TIME = """
from pathlib import Path

def test_passes_the_second_time():
    runs = Path(__file__).with_name("runs")
    runs.touch()
    with runs.open("a+") as file:
        file.write("x")
    assert len(runs.read_text()) > 1
"""
NEVER = "def test_never_passes():\n    assert 1 == 2\n"


def ran(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:schemathesis\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(RUN)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "STRICT"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_test_that_passes_alone_is_named_and_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(SECOND_TIME + "\ndef test_passes():\n    pass\n", encoding="utf-8")
    done = ran(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "Unstable" in done.stdout.splitlines()[-2]
    assert done.stdout.splitlines()[-1] == "  test_some.py::test_passes_the_second_time"


def test_a_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(SECOND_TIME + NEVER, encoding="utf-8")
    done = ran(tmp_path)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert done.stdout.splitlines()[-1] == "  test_some.py::test_passes_the_second_time"


@pytest.mark.parametrize(
    ("tests", "environment"),
    [
        (SECOND_TIME, {"STRICT": "1"}),
        ("".join(NEVER.replace("never", f"never_{number}") for number in range(6)), {}),
        ("import none_such_module\n", {}),
    ],
    ids=["strict", "many", "unreadable"],
)
def test_no_second_run(tmp_path: Path, tests: str, environment: dict[str, str]) -> None:
    (tmp_path / "test_some.py").write_text(tests, encoding="utf-8")
    done = ran(tmp_path, **environment)
    assert done.returncode
    assert "once more" not in done.stdout


def test_without_failures_there_is_one_run(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text("def test_passes():\n    pass\n", encoding="utf-8")
    done = ran(tmp_path)
    assert done.returncode == 0
    assert done.stdout.count("passed") == 1
