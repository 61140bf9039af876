"""Section `storage` of the description: where the SQL database is. It never contains a password."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from countingroom.core.yaml.section import Section

FILE = "countingroom.sqlite"


def _address(url: str) -> str:
    if not url:
        return url
    parts = urlsplit(url)
    if parts.scheme not in ("sqlite", "postgresql"):
        raise ValueError(f"write sqlite:////path/of/file or postgresql://user@host/database; got {parts.scheme!r}")
    if parts.scheme == "sqlite" and not parts.path.startswith("//"):
        raise ValueError("give the absolute path of the file after four slashes: sqlite:////path/of/file")
    if parts.password is not None:
        raise ValueError("remove the password from the URL: put it into ~/.pgpass or the file that PGPASSFILE names")
    return url


DatabaseAddress = Annotated[str, AfterValidator(_address)]
"""The URL of a database, without a password."""


class StorageSection(Section):
    """The database for configurations, the run book, accounts and the audit."""

    url: DatabaseAddress = ""
    """`sqlite:////path/of/file` or `postgresql://user@host/database`; empty: a SQLite file in the data folder. The
    password of PostgreSQL is read from `~/.pgpass` or from the file that `PGPASSFILE` names."""

    def address(self, data: Path) -> str:
        """The URL of the database of an experiment with this data folder."""
        return self.url or f"sqlite:///{data / FILE}"
