"""Tests that run in forked workers are reported as they went; a worker that ends fails its test alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests import forked_workers
def pytest_addoption(parser):
    forked_workers.add_option(parser)
def pytest_runtestloop(session):
    return forked_workers.run_tests(session, lambda item: item.path.name)
"""
FIRST = """
import os, pytest, sys
@pytest.fixture(scope="module")
def place(tmp_path_factory):
    yield tmp_path_factory.mktemp("place")
    print("the place is left", file=sys.__stderr__, flush=True)
def test_it_writes(place):
    (place / "written").write_text("by the first")
    print("said once")
def test_it_reads_what_the_test_before_wrote(place, capfd):
    assert (place / "written").read_text() == "by the first"
    assert capfd.readouterr().out == ""
def test_it_takes_its_worker_along():
    os._exit(7)
def test_what_follows_runs_in_another_one():
    print("seen with the failure")
    assert 1 == 2
"""
SECOND = """
import pytest, time
def test_it_is_skipped():
    pytest.skip("not here")
@pytest.mark.xfail(strict=True)
def test_it_is_known_to_fail():
    assert False
@pytest.mark.timeout(0.1)
def test_it_takes_too_long():
    time.sleep(5)
def test_it_ends_with_an_error(tmp_path):
    raise KeyError(tmp_path.parent.name)
"""


@pytest.mark.server
def test_every_test_is_reported_once_and_a_worker_that_ends_fails_one(tmp_path: Path) -> None:
    files = {"pytest.ini": "[pytest]", "conftest.py": CONFTEST, "test_first.py": FIRST, "test_second.py": SECOND}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    words = ["-m", "pytest", "-q", "-rA", "--workers", "2", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    ended = subprocess.run(
        [sys.executable, *words],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    summary = ended.stdout.rpartition("short test summary info")[2]
    for line in (
        "PASSED test_first.py::test_it_writes",
        "PASSED test_first.py::test_it_reads_what_the_test_before_wrote",
        "FAILED test_first.py::test_it_takes_its_worker_along - its worker has ended with status 7",
        "FAILED test_first.py::test_what_follows_runs_in_another_one - assert 1 == 2",
        "SKIPPED [1] test_second.py:4: not here",
        "XFAIL test_second.py::test_it_is_known_to_fail",
        "FAILED test_second.py::test_it_takes_too_long - Failed: Timeout (>0.1s)",
        "FAILED test_second.py::test_it_ends_with_an_error - KeyError: 'worker-",
        "4 failed, 2 passed, 1 skipped, 1 xfailed",
    ):
        assert line in summary, ended.stdout
    assert ended.stdout.count("\nseen with the failure\n") == 1
