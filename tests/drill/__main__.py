"""`python -m tests.drill`: plays every fault and prints the table; status 1 where a row is not right.

    python -m tests.drill [--short] [NAME...]

NAME chooses the drills whose name begins with it. The full disk needs root: its data are on a small file system in
memory that the drill mounts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drill.experiment import Drilled, watched_readiness
from tests.drill.faults import DISK, DRILLS, SHORT, Drill
from tests.drill.report import Row, table
from tests.system.running import Running, until, up

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"
DISK_MIB = 96


def play(running: Running, drills: Iterable[Drill], *, short: bool = False) -> Iterator[Row]:
    """Play each drill in its states; a row for each."""
    drilled = Drilled(running)
    for drill in drills:
        for state in drill.states[-1:] if short else drill.states:
            yield _play(drilled, drill, state)


def _play(drilled: Drilled, drill: Drill, state: str) -> Row:
    until(drilled.is_right, "all is right before the drill")
    prepared_ns = time.time_ns()
    drilled.bring_to(state)
    command = "stop" if state == "Recording" else "abort"
    begin_ns = time.time_ns()
    with watched_readiness(drilled.running.url) as said:
        with drill.fault(drilled.running):
            control_s = drilled.control_s(command, drill.control_s)
        right_s = drilled.right_again_s()
    return Row(
        fault=drill.name,
        state=state,
        control_s=control_s,
        most_control_s=drill.control_s,
        right_s=right_s,
        gap_s=drilled.gap_s(begin_ns),
        lost=drilled.lost(prepared_ns),
        readiness=said[0] if said else "",
    )


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of DISK_MIB in memory, mounted at `folder/disk`. Needs root."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def main(words: list[str]) -> int:
    """Print a line for each drill as it is played, then the table."""
    short = "--short" in words
    names = [word for word in words if not word.startswith("-")] or (list(SHORT) if short else [""])
    wanted = [drill for drill in (*DRILLS, DISK) if any(drill.name.startswith(name) for name in names)]
    rows: list[Row] = []

    def collect(running: Running, drills: Iterable[Drill]) -> None:
        for row in play(running, drills, short=short):
            sys.stderr.write(f"{row.fault}, {row.state}: {'; '.join(row.faults) or 'right'}\n")
            rows.append(row)

    with tempfile.TemporaryDirectory() as data:
        if others := [drill for drill in wanted if drill is not DISK]:
            with up(DEMO, Path(data) / "demo", "--simulate") as running:
                collect(running, others)
        if DISK in wanted and os.geteuid():
            sys.stderr.write("full disk: not played, it needs root\n")
        elif DISK in wanted:
            with small_disk(Path(data)) as place, up(DEMO, place, "--simulate") as running:
                collect(running, [DISK])
    sys.stdout.write(table(rows) + "\n")
    return int(any(row.faults for row in rows))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
