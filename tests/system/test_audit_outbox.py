"""Entries of the audit outlive a console that is killed while the database takes none, and a full disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from countingroom.console.audit_writer import AuditWriter
from countingroom.core.clock import SystemClock
from countingroom.storage.audit import AuditFilter
from countingroom.storage.database import Database
from countingroom.storage.outbox import Outbox
from tests.patience import PATIENCE_S

CHILD = Path(__file__).parent / "audit_child.py"
NUMBER = 12


async def _written(file: Path, folder: Path, number: int) -> list[str]:
    """What the audit holds, oldest first, after a next console has written what it found."""
    database, told = Database(f"sqlite:///{file}"), list[str]()
    writer = AuditWriter(database.audit, SystemClock(), folder, lambda message, _: told.append(message))
    running = asyncio.create_task(writer.run())
    async with asyncio.timeout(PATIENCE_S):
        while list(folder.glob("waiting-*")):
            await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    found = await database.audit.find(AuditFilter(limit=100))
    await database.close()
    assert told == [f"{number} entries of the audit that an earlier console has kept are written now"]
    return [one.what for one in reversed(found)]


async def test_entries_of_a_console_that_is_killed_while_the_database_is_locked_go_in_once(tmp_path: Path) -> None:
    file, folder = tmp_path / "c.sqlite", tmp_path / "audit"
    database = Database(f"sqlite:///{file}")
    await database.open()
    await database.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as locking:
        locking.execute("BEGIN IMMEDIATE")
        words = (sys.executable, str(CHILD), f"sqlite:///{file}", str(folder), str(NUMBER))
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            assert child.stdout.readline() == "kept\n"
            child.kill()
        locking.execute("ROLLBACK")
    (kept,) = folder.glob("waiting-*")
    assert kept.stat().st_mode & 0o777 == 0o600
    copy = kept.read_bytes()
    names = [f"act{index}" for index in range(NUMBER)]
    assert await _written(file, folder, NUMBER) == names
    assert not list(folder.iterdir())
    # The console may also die between the transaction and its note in the file: the same entries come again.
    kept.write_bytes(copy)
    assert await _written(file, folder, NUMBER) == names


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    if os.geteuid():
        pytest.skip("needs root, to mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("reserve", [True, False])
def test_a_reserve_takes_records_on_a_full_disk(small: Path, reserve: bool) -> None:
    outbox = Outbox(small / "audit", reserve_bytes=100_000 if reserve else 0)
    (small / "audit").mkdir()
    outbox.reserve()
    with (small / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"\0" * 4096)
    if not reserve:
        with pytest.raises(OSError, match="No space"):
            outbox.add([b"record"])
        return
    outbox.add([b"record"] * 3)
    outbox.remove(1)
    outbox.add([b"last"])
    outbox.close()
    again = Outbox(small / "audit")
    assert again.adopt() == (0, [b"record", b"record", b"last"])
    again.close()
