"""A file that is there is never taken for a new one: the start is refused with what is wrong and how to restore."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.bus.server.process import remembered
from countingroom.core.errors import ConfigurationError
from countingroom.history.duckdb_store import DuckStore
from countingroom.storage.database import Database

BAD = {"empty": b"", "garbage": b"this is no database at all " * 400}


@pytest.mark.parametrize("kind", BAD)
async def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "countingroom.sqlite"
    file.write_bytes(BAD[kind])
    database = Database(f"sqlite:///{file}")
    with pytest.raises(ConfigurationError, match="left as it is") as refused:
        await database.open()
    await database.close()
    assert "backup" in refused.value.cause.suggestion
    assert file.read_bytes() == BAD[kind]


async def test_a_database_that_is_damaged_behind_its_head_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "countingroom.sqlite"
    database = Database(f"sqlite:///{file}")
    await database.open()
    await database.close()
    data = file.read_bytes()
    file.write_bytes(data[:100] + b"\xff" * (len(data) - 100))
    database = Database(f"sqlite:///{file}")
    with pytest.raises(ConfigurationError, match="is damaged"):
        await database.open()
    await database.close()


async def test_a_journal_without_its_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "countingroom.sqlite-wal").write_bytes(b"journal")
    database = Database(f"sqlite:///{tmp_path / 'countingroom.sqlite'}")
    with pytest.raises(ConfigurationError, match="is missing"):
        await database.open()
    await database.close()
    assert not (tmp_path / "countingroom.sqlite").exists()


async def test_a_new_database_is_of_this_user_only_and_leaves_no_other_file(tmp_path: Path) -> None:
    file = tmp_path / "countingroom.sqlite"
    database = Database(f"sqlite:///{file}")
    await database.open()
    await database.close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert {one.name for one in tmp_path.iterdir()} <= {file.name, f"{file.name}-wal", f"{file.name}-shm"}


@pytest.mark.parametrize("kind", BAD)
def test_a_damaged_history_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "history.duckdb"
    file.write_bytes(BAD[kind])
    with pytest.raises(ConfigurationError, match="left as it is") as refused:
        DuckStore(file)
    assert "backup" in refused.value.cause.suggestion
    assert file.read_bytes() == BAD[kind]


def test_a_history_whose_file_is_missing_beside_its_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "history.duckdb.wal").write_bytes(b"journal")
    with pytest.raises(ConfigurationError, match="is missing"):
        DuckStore(tmp_path / "history.duckdb")


@pytest.mark.parametrize("kind", BAD)
def test_a_damaged_file_of_the_server_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "server.json"
    file.write_bytes(BAD[kind])
    with pytest.raises(ConfigurationError, match="left as it is"):
        remembered(file)
