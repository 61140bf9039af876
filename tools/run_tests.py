"""Runs the tests, and those that failed once more, one after the other: `python tools/run_tests.py --workers 4`.

Ten thousand tests, many with real servers, share two processors, and about one of them per run fails because its
processor was busy. A test that fails beside the others and passes alone is named as unstable at the end and does not
fail the run; one that fails twice does. `STRICT=1`, or more than five failed: no second run. Decision 79.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
MOST = 5
TESTS_FAILED = 1
"""The exit status of pytest that says so. Others say that it could not run them."""


def pytest(arguments: Sequence[str]) -> int:
    """The exit status of one run."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def failed() -> list[str]:
    """The tests that failed in the run before, or files of tests that could not be read."""
    return sorted(json.loads(FAILED.read_text(encoding="utf-8"))) if FAILED.exists() else []


def main(arguments: Sequence[str]) -> int:
    """Run the tests; the exit status."""
    status = pytest(["-q", "--cache-clear", *arguments])
    first = failed()
    if status != TESTS_FAILED or not 0 < len(first) <= MOST or os.environ.get("STRICT"):
        return status
    print(f"\n{len(first)} failed. Run once more, alone:", *first, "", sep="\n  ", flush=True)
    status = pytest(["-q", "--last-failed", "--last-failed-no-failures=none"])
    unstable = [test for test in first if test not in failed()]
    if unstable:
        print("\nUnstable: failed beside the others, passed alone. Please mend:", *unstable, sep="\n  ", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
