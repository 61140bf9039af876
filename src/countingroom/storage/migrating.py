"""Migrates a database to the present schema: in one transaction, by one process at a time, and never backwards."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from countingroom.core.errors import ConfigurationError

HEAD = "0016"
"""Schema version that this version of the program needs."""


def revision(connection: Connection, table: str = "alembic_version") -> str:
    """Schema version of the database; empty for a new database. `table`: that of another chain of migrations."""
    if not inspect(connection).has_table(table):
        return ""
    return connection.execute(text(f"SELECT version_num FROM {table}")).scalar() or ""  # noqa: S608 (a constant)


def migrate(connection: Connection, *, to: str | None = None) -> None:
    """Migrate to HEAD, or to the version of a backup, in the present write transaction, which excludes every other
    writer."""
    to = to or HEAD
    # Several processes may start at the same time. The write lock of SQLite, or the advisory lock of PostgreSQL, lets
    # one of them migrate; the others wait for it and then read the new revision here.
    present = revision(connection)
    if present == to:
        return
    if present > HEAD:
        raise ConfigurationError(
            f"the database has schema {present}, this program has {HEAD}: it was written by a newer version",
            source="storage",
            suggestion="install the newer version again, or restore the backup made before its installation",
        )
    upgrade(connection, Path(__file__).parent / "migrations", to)


def upgrade(connection: Connection, folder: Path, to: str) -> None:
    """Run the migrations of a folder up to a version."""
    # Imported here: it takes a quarter of a second, which most starts do not need.
    from countingroom.storage.alembic_import import Config, command

    if connection.dialect.name == "postgresql":
        # A migration of a large table may take longer than the time-out of an ordinary statement.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
