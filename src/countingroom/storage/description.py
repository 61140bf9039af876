"""Law: a description says where the SQL database is, never its password."""

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
        raise ValueError("a file has its whole path, after four slashes: sqlite:////path/of/file")
    if parts.password is not None:
        raise ValueError("a password does not belong here: put it into ~/.pgpass or the file that PGPASSFILE names")
    return url


class StorageSection(Section):
    """The database of what may never be lost: configurations, the run book, accounts, who did what."""

    url: Annotated[str, AfterValidator(_address)] = ""
    """`sqlite:////path/of/file` or `postgresql://user@host/database`; empty: a SQLite file among the data. The password
    of PostgreSQL is where its own programs look for it: `~/.pgpass`, or the file that `PGPASSFILE` names."""

    def address(self, data: Path) -> str:
        """Of the database of an experiment whose data are in this place."""
        return self.url or f"sqlite:///{data / FILE}"
