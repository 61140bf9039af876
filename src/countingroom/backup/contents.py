"""The contents of a backup: the table of all stored data of an experiment, the way each part is copied, and the
manifest.

A test compares the table with the folders that the product makes in a data folder. Files that are not in the table are
reported as not copied.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from countingroom.core.subjects import MAPPING_KEY, NOTIFY_MESSAGES

DATA = "data"
"""Folder in the backup, and in the folder of a restore, of what the data folder has."""
DESCRIPTION = "description"
"""The same of the description and its files."""
UNFINISHED = "restore-not-finished"
"""The mark in a data folder into which a backup is being restored."""
MANIFEST = "manifest.json"
DATABASE = f"{DATA}/countingroom.sqlite"
TABLES = "database"
"""Folder in the backup of the tables of PostgreSQL."""
HISTORY = f"{DATA}/history/history.duckdb"
READINGS = "bus/readings"
EVENTS = "bus/events"
STATE = f"{DATA}/bus/state.msgpack"


class BackupPart(Struct, frozen=True, kw_only=True):
    """A file or folder of the data folder."""

    name: str
    """A pattern of names in the data folder."""
    how: str
    """How it is copied as of the moment of the backup; why not, where `copied` is false."""
    copied: bool = True
    small: bool = False
    """Whether it is read as files, before and after the moment of the backup, until both are the same."""
    grows: bool = False
    """Whether its files are listed at the moment, with their sizes, and copied so far."""


PARTS = (
    BackupPart(
        name="countingroom.sqlite*",
        how="as of the moment of the backup, by the backup function of SQLite; tables of PostgreSQL by COPY in one "
        "transaction",
    ),
    BackupPart(
        name="history",
        how="the file and its journal as they were before the moment; the readings since then are in the backup as "
        "messages, and the history takes them in as it starts",
    ),
    BackupPart(
        name="bus",
        how="events up to the moment, readings that the history did not have yet, positions of the consumers, and "
        "states that tell nothing to do; no passwords, which are new at each start",
    ),
    BackupPart(name="run-book", how="entries that wait for the database, and the highest run number", small=True),
    BackupPart(name="audit", how="entries that wait for the database", small=True),
    BackupPart(name="interlocks", how="interlocks that have tripped", small=True),
    BackupPart(
        name="result*",
        how="the files that are there at the moment, as long as they are then: they are written once, or grow; the "
        "output of a program that runs is copied as far as it is still there",
        grows=True,
    ),
    BackupPart(name="agents", how="where systems rest is of this computer since it was switched on", copied=False),
    BackupPart(
        name="console", how="sessions that outlive a broken database; those of the database are copied", copied=False
    ),
    BackupPart(name="description", how="the files of the description are copied from where they are", copied=False),
    BackupPart(
        name="fleet",
        how="programs of the fleet run on this computer; their revisions are in the database, and a restored system "
        "starts its own",
        copied=False,
    ),
    BackupPart(name="logs", how="what happened is in the events", copied=False),
    BackupPart(name="owner.json", how="it tells which process runs", copied=False),
    BackupPart(
        name="backup-id",
        how="it tells the backups of this folder from those of others; a new folder has its own",
        copied=False,
    ),
    BackupPart(name="backups", how="the backups themselves", copied=False),
)

NOT_RESTORED = ("partition", "control", "system", MAPPING_KEY, NOTIFY_MESSAGES)
"""First tokens of keys of the bucket `state` that are left out: goals, orders and messages of then must not act now."""


class StreamPart(Struct, frozen=True, kw_only=True):
    """The messages of a stream in a backup."""

    first: int
    """Sequence of the first message, also where there is none."""
    last: int
    count: int = 0
    sha256: str = ""
    """Of subjects and contents, in order."""


class BackupManifest(Struct, frozen=True, kw_only=True):
    """The facts of a backup."""

    experiment: str
    program: str
    """Version of the program that made it."""
    moment_ns: int
    """The moment in time that the backup is of, ns since the epoch."""
    data: str
    """The data folder that was copied."""
    description: str
    """The main file of the description, within the backup."""
    dialect: str
    """`sqlite` or `postgresql`."""
    database: str
    """The URL of the database where the description gives one, without password."""
    schema: str
    rows: dict[str, int]
    """Table of the database -> its rows."""
    highest_run: int
    first_sequence: int
    """Of the newest bucket of the bus in memory."""
    history_sequence: int
    """Of the last reading in the copied file of the history."""
    history_rows: dict[str, int]
    readings: StreamPart
    events: StreamPart
    positions: dict[str, int]
    """Consumer -> its position in its stream, not beyond the moment."""
    secrets: bool
    outside: dict[str, str] = {}
    """Files of the description that were in other folders -> their paths there."""


class BackupHeader(Struct, frozen=True, kw_only=True):
    """The first frame of a backup."""

    experiment: str
    program: str
    began_ns: int


def small_files(data: Path) -> dict[str, bytes]:
    """Path in the backup -> content of the files that are read as they are."""
    found: dict[str, bytes] = {}
    for part in PARTS:
        if part.small:
            for path in _files(data / part.name):
                with suppress(FileNotFoundError):  # taken by its department meanwhile
                    found[f"{DATA}/{path.relative_to(data).as_posix()}"] = path.read_bytes()
    return found


def growing_files(data: Path) -> dict[str, int]:
    """Path below the data folder -> size now of the files that are copied later."""
    return {
        path.relative_to(data).as_posix(): size_of(path)
        for part in PARTS
        if part.grows
        for folder in data.glob(part.name)
        for path in _files(folder)
    }


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; 0 for what is not there any more."""
    if path.is_dir():
        return sum(map(size_of, _files(path)))
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def not_copied(data: Path) -> list[str]:
    """Names in the data folder that no part is about."""
    known = {path.name for part in PARTS for path in data.glob(part.name)}
    return sorted(path.name for path in data.iterdir() if path.name not in known and not path.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    """What is removed meanwhile is left out. A folder whose name begins with a dot is not complete yet."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(names) if not _is_passing(name)):
            if path.is_file() and not path.is_symlink():
                yield path


def _is_passing(name: str) -> bool:
    """Whether a file of this name only keeps room on the disk, or is half written."""
    return name.startswith(("reserve-", ".")) or name.endswith(".part")
