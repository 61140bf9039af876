"""Migrates the public store to the present schema: in one transaction, one process at a time, and never backwards."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from countingroom.core.errors import ConfigurationError
from countingroom.storage.migrating import revision, upgrade

HEAD = "0004"
"""Schema version that this version of the program needs."""
VERSION_TABLE = "mirror_version"
"""Not that of the database of the experiment: a mix-up of the two must be noticed, and harm neither."""


def migrate(connection: Connection) -> None:
    """Migrate to HEAD in the present write transaction, which excludes every other writer."""
    present = revision(connection, VERSION_TABLE)
    if present == HEAD:
        return
    if revision(connection):
        raise ConfigurationError(
            "this database holds the data of the inside: the public store needs a database of its own",
            source="mirror.store",
            code="not_public",
            suggestion="name another database in mirror.store",
        )
    refuse_newer(present)
    upgrade(connection, Path(__file__).parent / "migrations", HEAD)


def refuse_newer(present: str) -> None:
    """ConfigurationError for the schema of a newer version of the program."""
    if present > HEAD:
        raise ConfigurationError(
            f"the public store has schema {present}, this program has {HEAD}: it was written by a newer version",
            source="mirror.store",
            code="newer_store",
            suggestion="install the newer version again, or let the mirror make a new store",
        )


def check(connection: Connection) -> None:
    """Whether a reader can use the store. ConfigurationError for another schema, also where there is none yet."""
    present = revision(connection, VERSION_TABLE)
    refuse_newer(present)
    if present != HEAD:
        raise no_store(f"the public store has the old schema {present}" if present else "the public store is not made")


def no_store(message: str) -> ConfigurationError:
    """The error of a reader that has nothing to read yet."""
    return ConfigurationError(
        message,
        source="mirror.store",
        code="no_store",
        suggestion="start the role mirror, or outside countingroom mirror receive: it makes the store and migrates it",
    )
