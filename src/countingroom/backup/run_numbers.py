"""The next run number of a restored experiment: behind all that are known, and behind those that may have been given.

The numbers between the backup and the loss of the original are known where its data folder can still be read. Else a
number for each minute since the backup is left out, and at least 100: a number that is used twice costs a data set.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from msgspec import Struct

from countingroom.backup.contents import BackupManifest
from countingroom.storage.highest_run import HighestRun

_FEWEST = 100
_MINUTE_NS = 60_000_000_000


class NextRun(Struct, frozen=True, kw_only=True):
    """Where run numbers go on."""

    number: int
    why: str
    """One sentence."""


def next_run(manifest: BackupManifest, now_ns: int, run_book: Path, original: Path) -> NextRun:
    """Find the number, and note it in the folder `run_book` of the restored data: the next start of a run takes it."""
    found = decide(manifest, now_ns, last_known(original))
    if found.number > 1:
        HighestRun(run_book).write(found.number - 1)
    return found


def decide(manifest: BackupManifest, now_ns: int, known: int | None) -> NextRun:
    """`known`: the highest number of the original; None: it is not known."""
    last = manifest.highest_run
    if known is not None and known >= last:  # a lower one is of a new folder in the same place
        number = max(last, known) + 1
        after = f", of which the original has given {number - 1 - last} after the backup" if number > last + 1 else ""
        return NextRun(number=number, why=f"the next run is {number}: the original's last is known{after}")
    if not last:
        return NextRun(number=1, why="the backup has no runs: the next run is 1")
    room = max(_FEWEST, -(-max(0, now_ns - manifest.moment_ns) // _MINUTE_NS))
    return NextRun(
        number=last + 1 + room,
        why=f"the next run is {last + 1 + room}: {room} numbers are left out, which the original may have given after "
        "the backup; its last run is not known on this computer",
    )


def last_known(original: Path) -> int | None:
    """The highest run number in the data folder of the original; None where it cannot be read."""
    found: list[int] = []
    with suppress(OSError):
        if (original / "run-book").is_dir():
            found.append(HighestRun(original / "run-book").read())
    file = original / "countingroom.sqlite"
    with suppress(OSError, sqlite3.Error), closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        found += [int(last) for (last,) in database.execute("SELECT max(last) FROM run_counter") if last is not None]
    return max(found, default=None)
