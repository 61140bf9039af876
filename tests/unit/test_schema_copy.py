"""A database whose schema was copied for the tests is the one that the migrations make."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from countingroom.storage import database, migrating
from countingroom.storage.database import Database
from tests import schema_copy


async def made(path: Path) -> list[str]:
    opened = Database(f"sqlite:///{path}")
    await opened.open()
    await opened.close()
    connection = sqlite3.connect(path)
    try:
        return [*connection.iterdump(), str(connection.execute("PRAGMA user_version").fetchone())]
    finally:
        connection.close()


async def test_a_copied_database_is_the_one_that_the_migrations_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "migrate", migrating.migrate)
    migrated = await made(tmp_path / "migrated.sqlite")
    schema_copy.install()
    for name in ("first", "second"):
        assert await made(tmp_path / f"{name}.sqlite") == migrated
    assert migrating.HEAD in "".join(migrated)


async def test_a_database_of_an_older_version_is_no_copy_of_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "migrate", migrating.migrate)
    schema_copy.install()
    present = await made(tmp_path / "present.sqlite")
    monkeypatch.setattr(migrating, "HEAD", "0001")
    assert len(await made(tmp_path / "old.sqlite")) < len(present)
