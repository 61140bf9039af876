"""The database as of one moment, for a backup of the whole experiment while it runs. SQLite and PostgreSQL.

From `hold` to `release` no process can write, because a writing transaction of this one is open. The moment of a backup
lies in between. The state at `hold` can be copied long afterwards, while others write again. The methods block.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, inspect, make_url, text

from countingroom.core.errors import ConfigurationError, Conflict, RequestError
from countingroom.storage.columns import metadata
from countingroom.storage.engine import LOCK, engine_of, translate_errors
from countingroom.storage.migrating import migrate, revision

T = TypeVar("T")

_PAGES = 2000
"""The number of SQLite pages that one step of a copy takes."""


class SnapshotFacts(Struct, frozen=True, kw_only=True):
    """The facts by which a copy is compared with the original."""

    dialect: str
    """`sqlite` or `postgresql`."""
    schema: str
    rows: dict[str, int]
    """Table -> its rows."""
    highest_run: int


class DatabaseSnapshot:
    """One state of the database. LinkError if it does not answer."""

    def __init__(self, url: str) -> None:
        self._engine = engine_of(url)
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self.dialect = self._engine.dialect.name

    def hold(self) -> None:
        """Block writers, and fix the present state of the database for later reads."""
        translate_errors(self._hold)

    def _hold(self) -> None:
        self.release()
        if self._reader:
            self._reader.close()
        options: dict[str, Any] = {} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._writer = self._engine.connect()
        self._writer.begin()
        if self.dialect == "postgresql":
            self._writer.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        self._reader = self._engine.connect().execution_options(writes=False, **options)
        self._reader.begin()
        if self.dialect == "postgresql":
            self._reader.execute(text("SET LOCAL statement_timeout = 0"))
        revision(self._reader)  # a transaction gets its snapshot with its first query, not with BEGIN

    def release(self) -> None:
        """Let writers continue."""
        if self._writer:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        """Release writers and forget the state."""
        self.release()
        if self._reader:
            self._reader.close()
            self._reader = None
        self._engine.dispose()

    def facts(self) -> SnapshotFacts:
        """The facts of the fixed state."""
        return translate_errors(lambda: _facts(self._seen))

    def damage(self) -> str:
        """The errors that SQLite finds in its file; empty if there are none."""
        found = translate_errors(lambda: self._seen.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        return "" if found == "ok" else str(found)

    def copy(self, path: Path) -> None:
        """Copy a SQLite database into a new file, for its owner alone."""
        import sqlite3

        path.touch(mode=0o600)
        source: Any = self._seen.connection.driver_connection
        copy = sqlite3.connect(path)
        try:
            translate_errors(lambda: source.backup(copy, pages=_PAGES))
        finally:
            copy.close()

    def tables(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """The tables of a PostgreSQL database, each with its rows as the command COPY writes them."""
        for name in _table_names(self._seen):
            yield name, self._rows(name)

    def _rows(self, name: str) -> Iterator[bytes]:
        raw: Any = self._seen.connection.driver_connection
        with raw.cursor() as cursor, cursor.copy(f'COPY "{name}" TO STDOUT (FORMAT text)') as copy:
            for part in copy:
                yield bytes(part)

    @property
    def _seen(self) -> Connection:
        if self._reader is None:
            raise RuntimeError("call hold first")
        return self._reader


def facts_of(path: Path) -> SnapshotFacts:
    """The facts of a copy in a SQLite file. ConfigurationError if it is damaged."""
    snapshot = DatabaseSnapshot(f"sqlite:///{path}")
    try:
        snapshot.hold()
        snapshot.release()
        if wrong := snapshot.damage():
            raise ConfigurationError(f"{path} is damaged: {wrong}", source="storage", code="damaged")
        return snapshot.facts()
    finally:
        snapshot.close()


@contextmanager
def loading(
    url: str, schema: str, check: Callable[[SnapshotFacts], None] = lambda facts: None
) -> Generator[Callable[[str, Iterable[bytes]], None]]:
    """Fill an empty PostgreSQL database, in one transaction. The given function takes the rows of one table. Conflict
    where the database is not empty, RequestError for a table that is none of ours. `check` may raise before the end of
    the transaction; the database is empty then."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection, connection.begin():
            translate_errors(lambda: _prepare(connection, schema))
            known = frozenset(_table_names(connection))

            def load(name: str, rows: Iterable[bytes]) -> None:
                if name not in known:  # the name becomes a part of a statement
                    raise RequestError(
                        f"the backup has a table {name[:100]!r}, which is none of this program",
                        source="restore",
                        code="damaged",
                        suggestion="use a backup that this program has made",
                    )
                translate_errors(lambda: _load(connection, name, rows))

            yield load
            translate_errors(lambda: _finish(connection))
            check(translate_errors(lambda: _facts(connection)))
    finally:
        engine.dispose()


def facts_at(url: str) -> SnapshotFacts:
    """The facts of the database at this URL."""
    snapshot = DatabaseSnapshot(url)
    try:
        snapshot.hold()
        snapshot.release()
        return snapshot.facts()
    finally:
        snapshot.close()


def shown(url: str) -> str:
    """The URL without its password."""
    parsed = make_url(url)
    return parsed.set(drivername=parsed.get_backend_name()).render_as_string(hide_password=True)


def _prepare(connection: Connection, schema: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    if revision(connection):
        raise Conflict(
            f"the database {shown(str(connection.engine.url))} is in use: it has the tables of an experiment",
            source="storage",
            code="not_empty",
            suggestion="restore into an empty database: createdb NAME, then --database postgresql://USER@HOST/NAME",
        )
    migrate(connection, to=schema)
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    # Rows that the migrations make. A table that only grows refuses every deletion, and is empty.
    for name, rows in reversed(_facts(connection).rows.items()):
        if rows:
            connection.execute(text(f'DELETE FROM "{name}"'))  # noqa: S608 (a table of ours)


def _load(connection: Connection, name: str, rows: Iterable[bytes]) -> None:
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(f'COPY "{name}" FROM STDIN (FORMAT text)') as copy:
        for part in rows:
            copy.write(part)


def _finish(connection: Connection) -> None:
    """Set the sequences of PostgreSQL, so that new rows get numbers after the loaded ones: COPY does not move them."""
    columns = connection.execute(
        text(
            "SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) AS sequence "
            "FROM information_schema.columns WHERE table_schema = current_schema()"
        )
    )
    for table, column, sequence in columns.fetchall():
        if sequence:
            highest = f'SELECT setval(:sequence, COALESCE(max("{column}"), 0) + 1, false) FROM "{table}"'  # noqa: S608
            connection.execute(text(highest), {"sequence": sequence})


def _facts(connection: Connection) -> SnapshotFacts:
    names = _table_names(connection)
    return SnapshotFacts(
        dialect=connection.dialect.name,
        schema=revision(connection),
        rows={
            name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()  # noqa: S608 (ours)
            for name in names
        },
        highest_run=connection.execute(text("SELECT max(last) FROM run_counter")).scalar() or 0
        if "run_counter" in names
        else 0,
    )


def _table_names(connection: Connection) -> list[str]:
    """The existing tables of this program, each after the tables to which it refers."""
    import_module("countingroom.storage.database")  # it declares all tables

    there = set(inspect(connection).get_table_names())
    return [table.name for table in metadata.sorted_tables if table.name in there]
