"""New SQLite databases of many tests in one process: the migrations make the first one, the others are copies of it.

A test that opens a database needs its tables, not the way to them: all migrations take 35 ms, a copy 5 ms. A database
that has something in it is migrated as ever, and so are those of other processes and of PostgreSQL.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from countingroom.storage import database, migrating

Statement = tuple[str, tuple[Any, ...]]


def install() -> None:
    """Replace the migration of a new database by a copy of the first one that was made."""
    migrate = database.migrate
    made: dict[str, list[Statement]] = {}

    def copy(connection: Connection) -> None:
        is_new = connection.dialect.name == "sqlite" and not _tables(connection)
        head = migrating.HEAD  # a test may set an older one
        if is_new and head in made:
            for statement, values in made[head]:
                connection.exec_driver_sql(statement, values)
            return
        migrate(connection)
        if is_new:
            made[head] = _statements(connection)

    database.migrate = copy


def _tables(connection: Connection) -> list[str]:
    found = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return list(found.scalars())


def _statements(connection: Connection) -> list[Statement]:
    """What makes the same tables, indices and rows."""
    schema = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY rowid")
    statements: list[Statement] = [(sql, ()) for sql in schema.scalars() if sql]
    for table in _tables(connection):
        for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"'):
            statements.append((f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', tuple(row)))
    return statements
