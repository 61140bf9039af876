"""What the role `pvs` and the process with the server of EPICS tell each other, one JSON line each.

In: `IocSetup`, answered by `ready`, then one `IocBatch` after the other, each answered by `taken`. Out, at any time:
`PvPut`.
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.pvs.table import PvRecord, PvRow

TAKEN = b"taken\n"
MOST_PUTS = 256
"""Puts whose end is awaited. A further one is refused by the server at once: without a limit those of one client could
fill the pipe."""


class IocSetup(Struct, frozen=True):
    """What is to be served."""

    records: tuple[PvRecord, ...]
    access: str
    """The rules of access, in the language of EPICS access security."""


class PvEnd(Struct, frozen=True, array_like=True):
    """What became of a put."""

    id: int
    is_done: bool
    """False: refused, or not confirmed; the client is told where it waits for that."""


class IocBatch(Struct, frozen=True):
    """Values to show, and puts that have ended. Empty: a sign of life."""

    rows: tuple[PvRow, ...] = ()
    ends: tuple[PvEnd, ...] = ()


class PvPut(Struct, frozen=True, kw_only=True):
    """What a client has written to a process variable."""

    id: int
    name: str
    value: float | int | str | bool | None
    """None: no number."""
    user: str
    """As the client says."""
    host: str
    time_s: float
    """Seconds since 1970."""
    waits: bool = False
    """Whether the client waits for the end."""
    is_early: bool = False
    """It came while another put to the same variable was under way, and is refused."""
