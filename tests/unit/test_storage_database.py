"""A database is brought up to date by one, kept whole by a backup, and says what is wrong with it in our words."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, Text, create_engine

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.run_book import RunEnd, RunFilter, RunNote
from countingroom.storage import engine as engine_room
from countingroom.storage import people_tables, run_tables, tables
from countingroom.storage.columns import Json, metadata
from countingroom.storage.database import Database
from countingroom.storage.engine import SqlStore
from countingroom.storage.migrating import HEAD

MIGRATIONS = Path(engine_room.__file__).parent / "migrations"


def _url(path: Path) -> str:
    return f"sqlite:///{path}"


async def _opened(path: Path) -> Database:
    database = Database(_url(path))
    await database.open()
    return database


async def test_migrations_make_the_tables_that_the_queries_know(tmp_path: Path) -> None:
    assert {tables, run_tables, people_tables}  # their tables are in the metadata
    await (await _opened(tmp_path / "a.sqlite")).close()

    def same(_: object, __: object, found: Column[Any], ___: object, ours: object) -> bool | None:
        return False if isinstance(ours, Json) and isinstance(found.type, Text) else None

    made = create_engine(_url(tmp_path / "a.sqlite"))
    with made.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": lambda *given: same(*given[:5])})
        differences = [one for one in compare_metadata(context, metadata) if "alembic_version" not in str(one)]
    made.dispose()
    assert differences == []


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_a_database_of_an_earlier_version_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countingroom.storage.migrating.HEAD", "0001")
    await (await _opened(tmp_path / "a.sqlite")).close()
    monkeypatch.undo()
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as old, old:
        old.execute(
            "INSERT INTO run (number, partition, template, requested_by, asked_ns, ended_by, tag, configurations, "
            "members, versions, quality, counters, sequence) "
            "VALUES (1, 'A', 'cbm', 'anna', 1, '', '', '{}', '[]', '{}', '', '{}', '')"
        )
    database = await _opened(tmp_path / "a.sqlite")
    assert [run.number for run in await database.runs.open_runs()] == [1]
    await database.runs.flag(1, "good", "anna")
    await database.close()
    with sqlite3.connect(tmp_path / "a.sqlite") as raw, pytest.raises(sqlite3.IntegrityError, match="only grows"):
        raw.execute("DELETE FROM run_note")
    raw.close()


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    await (await _opened(tmp_path / "a.sqlite")).close()
    with sqlite3.connect(tmp_path / "a.sqlite") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    database = Database(_url(tmp_path / "a.sqlite"))
    with pytest.raises(ConfigurationError, match="written by a newer version"):
        await database.open()
    await database.close()


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.sqlite") as raw:
        raw.execute("CREATE TABLE session (mine TEXT)")  # in the way of one of ours, after others were made
    raw.close()
    database = Database(_url(tmp_path / "a.sqlite"))
    with pytest.raises(LinkError, match="already exists"):
        await database.open()
    await database.close()
    with sqlite3.connect(tmp_path / "a.sqlite") as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("session",)]
    raw.close()


async def test_what_is_acknowledged_is_synced(tmp_path: Path) -> None:
    database = await _opened(tmp_path / "a.sqlite")
    store: SqlStore = database._store

    def modes(connection: Connection) -> list[Any]:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {one}").scalar() for one in asked]

    full = 2
    assert await store.write(modes) == ["wal", full, 1]
    assert await store.read(modes) == ["wal", full, 1]
    await database.close()


async def test_a_backup_is_whole_while_others_write(tmp_path: Path) -> None:
    database = await _opened(tmp_path / "a.sqlite")
    number = (await database.runs.reserve("A", "cbm", "anna")).number
    copies = [database.backup(tmp_path / "copies" / f"{n}.sqlite") for n in range(2)]
    await asyncio.gather(*copies, *(database.runs.flag(number, str(n), "anna") for n in range(20)))
    await database.runs.close(number, RunEnd.STOPPED)
    await database.close()
    for n in range(2):
        copy = await _opened(tmp_path / "copies" / f"{n}.sqlite")
        (run,) = await copy.runs.find(RunFilter())
        assert run.end is None
        assert [note.text for note in run.notes][-1:] == ([run.quality] if run.quality else [])
        await copy.close()
    assert {one.name for one in (tmp_path / "copies").glob("*.part")} == set()


async def test_a_backup_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    database = await _opened(tmp_path / "a.sqlite")
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(LinkError, match="cannot be written"):
        await database.backup(tmp_path / "file" / "copy.sqlite")
    await database.close()


async def test_nobody_else_on_the_machine_reads_the_database(tmp_path: Path) -> None:
    database = await _opened(tmp_path / "a.sqlite")
    await database.runs.reserve("A", "cbm", "anna")
    await database.backup(tmp_path / "copy.sqlite")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("a.sqlite", "a.sqlite-wal", "a.sqlite-shm", "copy.sqlite"), 0o600)
    await database.close()


async def test_a_full_disk_refuses_what_is_written_and_keeps_what_was(tmp_path: Path) -> None:
    database = await _opened(tmp_path / "a.sqlite")
    await database.runs.reserve("A", "cbm", "anna")

    def limit(pages: int) -> Callable[[Engine], None]:
        def work(engine: Engine) -> None:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        return work

    await database._store.outside(limit(1))
    long = RunNote(time_ns=1, kind="comment", text="x" * 1_000_000)
    with pytest.raises(LinkError, match="full"):
        await database.runs.note(1, long)
    assert [run.notes for run in await database.runs.open_runs()] == [()]
    await database._store.outside(limit(1_000_000))
    assert (await database.runs.note(1, long)).notes == (long,)
    await database.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [("nonsense:secret@", "is invalid"), ("mysql://a:secret@b/c", "mysql is not a supported database")],
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        Database(url)
    assert "secret" not in str(refused.value.cause)


async def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    database = Database(_url(tmp_path / "file" / "a.sqlite"))
    with pytest.raises(ConfigurationError, match="cannot be created"):
        await database.open()
    await database.close()


async def test_a_server_that_is_not_there_is_told() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(LinkError) as refused:
        await database.open()
    assert refused.value.cause.code == "storage_failed"
    await database.close()


async def test_what_does_not_end_is_told_and_what_waits_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_room, "WAITING", 2)
    store, go_on, began = SqlStore("sqlite://"), threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        began.set()
        go_on.wait()

    async with asyncio.TaskGroup() as group:
        first = group.create_task(store.write(slow))
        second = group.create_task(store.write(lambda _: None))
        await asyncio.to_thread(began.wait)
        with pytest.raises(LinkError) as refused:
            await store.write(lambda _: None)
        assert refused.value.cause.code == "busy"
        go_on.set()
        await asyncio.gather(first, second)
    assert await store.write(lambda _: 7) == 7

    go_on.clear()
    with pytest.raises(LinkError) as late:
        await store._run(store._writer, go_on.wait, deadline_s=0.01)
    assert late.value.cause.code == "no_answer"
    go_on.set()
    await store.close()


async def test_one_who_no_longer_waits_leaves_the_transaction_whole(tmp_path: Path) -> None:
    database = await _opened(tmp_path / "a.sqlite")
    began, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE run_counter SET last = 41")
        began.set()
        go_on.wait()

    async def wait() -> None:
        await database._store.write(slow)

    task = asyncio.ensure_future(wait())
    await asyncio.to_thread(began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert (await database.runs.reserve("A", "cbm", "anna")).number == 42
    await database.close()


def test_every_migration_is_numbered_in_its_name_and_follows_the_one_before() -> None:
    files = sorted(MIGRATIONS.glob("versions/0*.py"))
    for number, file in enumerate(files, start=1):
        found = dict(re.findall(r'^(revision|down_revision) = "?(\w+)"?$', file.read_text(), re.MULTILINE))
        assert file.name.startswith(f"{number:04d}_")
        assert found == {"revision": f"{number:04d}", "down_revision": f"{number - 1:04d}" if number > 1 else "None"}


def test_migrations_are_one_chain_and_named_by_their_revision() -> None:
    """Two branches that each add the next revision merge without a conflict, and no new database can be made."""
    folder = MIGRATIONS / "versions"
    files = sorted(path.name for path in folder.glob("0*.py"))
    revisions = [re.findall(r'^(?:down_)?revision = "?(\w+)"?$', (folder / name).read_text(), re.M) for name in files]
    numbers = [name[:4] for name in files]
    assert numbers == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert revisions == [[number, before] for before, number in pairwise(["None", *numbers])]
    assert numbers[-1] == HEAD
