"""The audit: user, action, time and outcome of each request. A database trigger makes it append-only."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select

from countingroom.core.accounts import AuditEntry
from countingroom.storage import rows
from countingroom.storage.engine import SqlStore
from countingroom.storage.people_tables import audit

_SAME = ("time_ns", "who", "what", "target", "origin", "outcome")
"""The fields by which two entries differ."""
_RECENT = 100_000
"""The number of newest entries that are compared."""


class AuditFilter(Struct, frozen=True, kw_only=True):
    """Filter of audit entries. An entry must match every field that is given."""

    who: str = ""
    what: str = ""
    target: str = ""
    outcome: str = ""
    from_ns: int | None = None
    to_ns: int | None = None
    before: int | None = None
    """Only entries with a lower sequence number. For the next page, give the last number of this page."""
    limit: int = 100


class Audit:
    """Repository of the audit."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def append(self, *entries: AuditEntry) -> None:
        """Add entries, all or none."""
        kept = [rows.columns(one, "sequence") for one in entries]

        def work(connection: Connection) -> None:
            if kept:
                connection.execute(insert(audit), kept)

        await self._store.write(work)

    async def append_again(self, *entries: AuditEntry) -> None:
        """Add the entries that are not stored yet, all or none. For entries of an attempt with an unknown outcome, or
        of a dead process. Entries with the same nanosecond, user, action, target, address and outcome are the same."""
        if not entries:
            return
        first_ns = min(one.time_ns for one in entries)

        def work(connection: Connection) -> None:
            newest = connection.scalar(select(func.max(audit.c.sequence))) or 0
            # The times have no index. Entries of an attempt are among the last ones.
            query = select(*(audit.c[key] for key in _SAME)).where(
                audit.c.sequence > newest - _RECENT, audit.c.time_ns >= first_ns
            )
            there = {tuple(row) for row in connection.execute(query)}
            missing = [one for one in entries if tuple(getattr(one, key) for key in _SAME) not in there]
            if missing:
                connection.execute(insert(audit), [rows.columns(one, "sequence") for one in missing])

        await self._store.write(work)

    async def find(self, wanted: AuditFilter = AuditFilter()) -> tuple[AuditEntry, ...]:  # noqa: B008 - it is frozen
        """The entries that match the filter, newest first."""
        query = select(audit)
        for key in ("who", "what", "target", "outcome"):
            if value := getattr(wanted, key):
                query = query.where(audit.c[key] == value)
        if wanted.from_ns is not None:
            query = query.where(audit.c.time_ns >= wanted.from_ns)
        if wanted.to_ns is not None:
            query = query.where(audit.c.time_ns < wanted.to_ns)
        if wanted.before is not None:
            query = query.where(audit.c.sequence < wanted.before)
        query = query.order_by(audit.c.sequence.desc()).limit(max(0, wanted.limit))
        return await self._store.read(lambda connection: rows.every(connection, query, AuditEntry))
