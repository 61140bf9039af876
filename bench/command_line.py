"""A command answers before a person notices; the raw limit is Python starting and ending."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from bench.row import Row

ROUNDS = 9


def run() -> list[Row]:
    """The rows of this benchmark."""
    raw = _median([sys.executable, "-c", "pass"])
    rows: list[Row] = []
    for name, words in (("help", ["--help"]), ("help of device", ["device", "--help"])):
        took = _median([sys.executable, "-m", "countingroom", *words])
        rows.append(
            Row(name=f"command line, {name}", value=took, unit="s", raw_limit=raw, ratio=took / raw, goal="<= 0.3 s")
        )
    return rows


def _median(words: list[str]) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return median(times)
