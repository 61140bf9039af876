"""Law: a database is brought to our schema by one process at a time, wholly or not at all, and never backwards."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from countingroom.core.errors import ConfigurationError

HEAD = "0002"
"""The schema this version of the program works with."""


def revision(connection: Connection) -> str:
    """What the database has; empty: nothing."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def migrate(connection: Connection) -> None:
    """Bring it to HEAD in the writing transaction that is under way, which keeps every other writer out."""
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
