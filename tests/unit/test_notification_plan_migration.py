"""What the planner of messages remembered is kept by the migration that gives each of its keys a row."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from countingroom.core.notify.messages import NotifyCursor
from countingroom.storage.database import Database


async def _opened(path: Path) -> Database:
    database = Database(f"sqlite:///{path}")
    await database.open()
    return database


async def test_what_was_remembered_in_one_document_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countingroom.storage.migrating.HEAD", "0011")
    await (await _opened(tmp_path / "a.sqlite")).close()
    monkeypatch.undo()
    plan = {"track r point.a.t": '{"route":"r","step":1}', "sent r": "[1,2]"}
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as old, old:
        old.execute("INSERT INTO notification_cursor (id, sequence, plan) VALUES (1, 7, ?)", (json.dumps(plan),))
    database = await _opened(tmp_path / "a.sqlite")
    assert await database.notifications.cursor() == NotifyCursor(sequence=7, plan=plan)
    await database.close()
