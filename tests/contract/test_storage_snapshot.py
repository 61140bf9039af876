"""On each database: a snapshot is the database at the moment when writers were kept out, and can be restored."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from countingroom.core.errors import Conflict, RequestError
from countingroom.core.run_book import RunFilter
from countingroom.storage.database import Database
from countingroom.storage.snapshot import DatabaseSnapshot, SnapshotFacts, facts_at, facts_of, loading
from tests.contract.storage.stand import Stand


async def reserve(database: Database, partition: str) -> int:
    return (await database.runs.reserve(partition, "cbm", "anna", 1)).number


async def test_a_snapshot_is_the_moment_when_writers_were_kept_out(shared_stand: Stand, tmp_path: Path) -> None:
    database = await shared_stand.open()
    await reserve(database, "a")
    snapshot = DatabaseSnapshot(shared_stand.url)
    try:
        await asyncio.to_thread(snapshot.hold)
        waiting = asyncio.create_task(reserve(database, "b"))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        await asyncio.to_thread(snapshot.release)
        assert await waiting == 2
        facts = await asyncio.to_thread(snapshot.facts)
        assert (facts.highest_run, facts.rows["run"]) == (1, 1)
        if facts.dialect == "sqlite":
            copy = tmp_path / "copy.sqlite"
            await asyncio.to_thread(snapshot.copy, copy)
            assert facts_of(copy) == facts
            assert copy.stat().st_mode & 0o077 == 0
        else:
            tables = {name: b"".join(rows) for name, rows in snapshot.tables()}
            assert tables.keys() == facts.rows.keys()
            assert tables["run"].count(b"\n") == 1
    finally:
        snapshot.close()


async def test_the_tables_are_loaded_into_an_empty_database_and_go_on(stand_pair: tuple[Stand, Stand]) -> None:
    original, empty = stand_pair
    database = await original.open()
    await reserve(database, "a")
    await database.configurations.save("STS", "beam", {"text": "a\tb\\n\nc"}, "anna")
    snapshot = DatabaseSnapshot(original.url)
    try:
        snapshot.hold()
        snapshot.release()
        facts = snapshot.facts()
        with pytest.raises(RequestError, match="none of this program"), loading(empty.url, facts.schema) as load:
            load("run\" FROM PROGRAM 'true' --", [])

        def late(found: SnapshotFacts) -> None:
            raise LookupError(found.schema)

        with pytest.raises(LookupError), loading(empty.url, facts.schema, late) as load:
            load("audit", [])
        with loading(empty.url, facts.schema) as load:  # it is still empty
            for name, rows in snapshot.tables():
                load(name, rows)
    finally:
        snapshot.close()
    assert facts_at(empty.url) == facts
    restored = await empty.open()
    assert await restored.runs.find(RunFilter()) == await database.runs.find(RunFilter())
    assert await restored.configurations.history("STS", "beam") == await database.configurations.history("STS", "beam")
    await restored.configurations.save("STS", "beam", {"text": "x"}, "anna")
    assert await reserve(restored, "b") == 2
    with pytest.raises(Conflict, match="in use"), loading(empty.url, facts.schema):
        pass
