"""Migrates a database to the present schema: in one transaction, by one process at a time, and never backwards."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from countingroom.core.errors import ConfigurationError

HEAD = "0002"
"""Schema version that this version of the program needs."""


def revision(connection: Connection) -> str:
    """Schema version of the database; empty for a new database."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def migrate(connection: Connection) -> None:
    """Migrate to HEAD in the present write transaction, which excludes every other writer."""
    present = revision(connection)
    if present == HEAD:
        return
    if present > HEAD:
        raise ConfigurationError(
            f"the database has schema {present}, this program knows {HEAD}: it was written by a newer version",
            source="storage",
            suggestion="install the newer version again, or go back to the backup made before it",
        )
    from alembic import command  # a quarter of a second that an up to date database does not cost
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
