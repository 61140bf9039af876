"""Commands and replies of an actor, independent of their form on the line. Pure.

`legacy.py` and `json_lines.py` read and write both; `words.py` splits the body of a command. A server reads with
`parse_command` and writes with `format_reply`; a client writes with `format_command` and reads with `parse_reply`.
All functions work on one line without its line end. A line that cannot be read raises ActorSyntaxError; other lines are
not affected.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from countingroom.core.errors import RequestError

BROADCAST = 0
"""The user of a legacy reply that goes to all connections, and the number of a command without one."""
LONGEST_LINE = 1 << 20
"""Bytes: a longer line of the other side is a fault of it."""

KeywordValue = Any
"""str, int, float, bool, None, or lists and dicts of them."""
Keywords = Mapping[str, KeywordValue]


class MessageCode(StrEnum):
    """The kind of a reply."""

    STARTED = ">"
    DONE = ":"
    FAILED = "f"
    ERROR = "e"
    """An error that does not end the command."""
    CRITICAL = "!"
    """An error that ends the command."""
    INFO = "i"
    WARNING = "w"
    DEBUG = "d"

    @property
    def is_final(self) -> bool:
        """Whether it ends the command."""
        return self in (MessageCode.DONE, MessageCode.FAILED, MessageCode.CRITICAL)

    @property
    def is_failure(self) -> bool:
        """Whether the command ended without success."""
        return self in (MessageCode.FAILED, MessageCode.CRITICAL)


class ActorCommand(Struct, frozen=True, kw_only=True):
    """A command as an actor receives it."""

    body: str
    """`expose 2 --flavour dark`."""
    id: int = BROADCAST
    """Chosen by the sender; 0: it gave none."""
    commander: str = ""
    """Of the legacy form: `APO.Jose`; empty: the connection itself."""


class ActorReply(Struct, frozen=True, kw_only=True):
    """One reply."""

    code: MessageCode
    keywords: Keywords = {}
    """Read from a legacy line: keyword -> tuple of texts, empty for a bare keyword. Read from JSON: as they stand."""
    command_id: int = BROADCAST
    commander: str = ""
    """Its receiver: number of the user (legacy, `0`: all), name of a connection (JSON, empty: all), or
    `program.user` (tron)."""
    sender: str = ""
    """The actor; empty on a legacy line, where it is the other side of the connection."""
    is_internal: bool = False


class ActorSyntaxError(RequestError):
    """A line, or the body of a command, that cannot be read."""

    code = "actor_syntax"
    suggestion = "correct the line, then send it again"


class Verbatim(str):
    """A value that a legacy line takes as it stands, without quotes: the caller has quoted it."""

    __slots__ = ()


def shown_line(text: str) -> str:
    """A line for an error text: quoted, and cut where it is long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
