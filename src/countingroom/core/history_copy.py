"""The messages with which a backup asks the history service to keep its file unchanged while it is copied. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MOST_S = 60.0
"""So long the file is kept unchanged after the last request: a backup that was killed must not hold it for ever."""


class CopyQuery(Struct, frozen=True, kw_only=True):
    """The body of `query.history.copy`. The first one begins; each further one with the same id goes on."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    ended: bool = False
    """Whether the copy is made."""


class CopyAnswer(Struct, frozen=True, kw_only=True):
    """What to copy: the first `file_bytes` of the file and the first `journal_bytes` of its journal."""

    path: str = ""
    file_bytes: int = 0
    journal_bytes: int = 0
    sequence: int = 0
    """Of the last message of the stream of readings that these bytes have."""
    stored_ns: int = 0
    rows: dict[str, int] = {}
    """Table -> its rows."""
    refused: str = ""
    """Why it cannot be copied, or why the copy that was made is of no use; empty: all is well."""
