"""A write that waits for no disk outlives a kill of its process, and is synced right after."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from countingroom.storage.engine import SqlStore

WRITER = """
import asyncio, sys
from countingroom.storage.engine import SqlStore

async def main():
    store, number = SqlStore(sys.argv[1]), 0
    await store.write(lambda one: one.exec_driver_sql("CREATE TABLE IF NOT EXISTS trip (number INTEGER)"))
    while True:
        number += 1
        await store.write(lambda one: one.exec_driver_sql(f"INSERT INTO trip VALUES ({number})"), synced=False)
        print(number, flush=True)

asyncio.run(main())
"""


def modes(connection: Connection) -> list[int]:
    return [connection.exec_driver_sql(f"PRAGMA {one}").scalar_one() for one in ("synchronous", "wal_autocheckpoint")]


async def test_only_the_write_that_asks_for_it_waits_for_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(opened: int) -> None:
        synced.append(Path(f"/proc/self/fd/{opened}").readlink().name)
        sync(opened)

    synced: list[str] = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", seen)
    store = SqlStore(f"sqlite:///{tmp_path / 'a.sqlite'}")
    normal, full, pages, long = 1, 2, 1000, 8000
    assert await store.write(modes) == [full, pages]
    assert synced == []
    assert await store.write(modes, synced=False) == [normal, long]
    assert await store.write(modes) == [full, pages]
    await store.close()
    assert synced == ["a.sqlite-wal"]


def test_what_was_committed_is_there_after_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    words = [sys.executable, "-c", WRITER, f"sqlite:///{file}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = 0
        for _ in range(25):
            told = int(writer.stdout.readline())
        writer.kill()
        rest = [line for line in writer.stdout.read().split("\n") if line.isdecimal()]
    told = int(rest[-1]) if rest else told
    with closing(sqlite3.connect(file)) as found:
        ((number,),) = found.execute("SELECT max(number) FROM trip").fetchall()
    assert number in (told, told + 1)
