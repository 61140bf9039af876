"""Reads the public store, over connections that cannot write: all that a public page has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, Text, bindparam, cast, func, select, type_coerce

from countingroom.core.errors import LinkError
from countingroom.mirror.store import tables
from countingroom.mirror.store.migrating import check, no_store
from countingroom.mirror.store.values import (
    DocumentRow,
    DocumentText,
    FreshDay,
    HostRow,
    RecordRow,
    SourceRow,
    Version,
    WithheldRow,
)
from countingroom.storage import rows
from countingroom.storage.engine import SqlStore

MOST = 5000
"""Rows of one answer."""
_FORGOTTEN_US = 3_600_000_000
_d = tables.document.c
_h = tables.host_status.c
_n = tables.record_now.c
_r = tables.record.c
# Made once: to make such a query takes as long as to run it.
_NEWEST_TEXT = (
    select(_d.document_id, _d.source, _d.revision, _d.at, type_coerce(_d.body, Text).label("text"))
    .where(_d.set == bindparam("of_set"), _d.kind == bindparam("of_kind"), _d.run == bindparam("of_run"))
    .order_by(_d.at.desc(), _d.client, _d.id)
    .limit(1)
)


class PublicReader:
    """The public store for reading. Every method raises LinkError if the database does not answer."""

    def __init__(self, url: str) -> None:
        self._store = SqlStore(url, read_only=True)
        self._file: tuple[int, int] | None = None
        """Device and inode of the file of SQLite that is read."""
        self.replaced = 0
        """So many times another file took its place: all that was read before is worth nothing."""

    async def open(self) -> None:
        """ConfigurationError where the store is not made yet, or is of another version; LinkError where the database
        does not answer."""
        file = self._store.url.database
        self._file = await self._present_file()
        if self._store.is_sqlite and file and not self._file:
            raise no_store(f"there is no public store at {file}")
        await self._store.read(check)

    async def _present_file(self) -> tuple[int, int] | None:
        file = self._store.url.database
        if not self._store.is_sqlite or not file:
            return None
        try:
            found = await asyncio.to_thread(Path(file).stat)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    async def _follow_file(self) -> None:
        """Read the file that is there now. An open one would be read for ever after it was removed or replaced, as
        by a backup that is restored."""
        present = await self._present_file()
        if present == self._file:
            return
        await self._store.reconnect()
        if present is None:
            raise LinkError("the public store is not there any more", source="mirror.store", code="no_store")
        await self._store.read(check)
        self._file = present
        self.replaced += 1

    async def close(self) -> None:
        """Close after the pending transactions."""
        await self._store.close()

    async def version(self) -> Version:
        """Counts the changes: the store is as it was as long as this is the same, and `replaced`. LinkError or
        ConfigurationError where the file of the store is gone, or cannot be used."""
        await self._follow_file()
        found = await self._every(select(tables.version), Version)
        return found[0] if found else Version(number=0, at=0)

    async def documents(
        self,
        set: str,
        kind: str,
        *,
        run: int | None = None,
        runs: tuple[int, int] | None = None,
        client: str = "",
        after_version: int = 0,
        limit: int = MOST,
    ) -> tuple[DocumentRow, ...]:
        """Documents without their logs, by run and client. `runs`: from and to, both with; `after_version`: only those
        that changed since."""
        query = select(tables.document).where(_d.set == set, _d.kind == kind)
        if run is not None:
            query = query.where(_d.run == run)
        if runs is not None:
            query = query.where(_d.run.between(*runs))
        if client:
            query = query.where(_d.client == client)
        if after_version:
            query = query.where(_d.version > after_version)
        return await self._every(query.order_by(_d.run, _d.client, _d.at, _d.id).limit(limit), DocumentRow)

    async def document(self, set: str, document_id: str) -> DocumentRow | None:
        """One document."""
        query = select(tables.document).where(_d.set == set, _d.document_id == document_id)
        found = await self._every(query, DocumentRow)
        return found[0] if found else None

    async def newest_text(self, set: str, kind: str, run: int) -> DocumentText | None:
        """The newest document of a kind in a run, with its body as it is stored; None without one. To read the numbers
        of a large body, and to write them again for an answer, takes longer than all the rest of the answer."""
        given = {"of_set": set, "of_kind": kind, "of_run": run}

        def newest(connection: Connection) -> DocumentText | None:
            row = connection.execute(_NEWEST_TEXT, given).mappings().first()
            return None if row is None else DocumentText(**row)

        return await self._store.read(newest)

    async def log(self, set: str, document_id: str) -> dict[str, list[str]] | None:
        """Its log, field -> lines; None where it has none."""
        t = tables.document_log.c
        query = select(t.lines).where(t.set == set, t.document_id == document_id)
        return await self._store.read(lambda connection: connection.execute(query).scalar_one_or_none())

    async def run_range(self, set: str) -> tuple[int, int] | None:
        """First and last run of which there are documents; None without any."""
        query = select(func.min(_d.run), func.max(_d.run)).where(_d.set == set)
        found = await self._store.read(lambda connection: connection.execute(query).one())
        return None if found[0] is None else (found[0], found[1])

    async def runs(self, set: str, *, first: int = 0, last: int | None = None, limit: int = MOST) -> list[int]:
        """Numbers of the runs from `first` to `last`, the newest first."""
        query = select(_d.run).where(_d.set == set, _d.run >= first)
        if last is not None:
            query = query.where(_d.run <= last)
        return await self._numbers(query.distinct().order_by(_d.run.desc()).limit(limit))

    async def neighbours(self, set: str, run: int) -> tuple[int | None, int | None]:
        """The run before this one, and the one after it."""
        before = select(func.max(_d.run)).where(_d.set == set, _d.run < run)
        after = select(func.min(_d.run)).where(_d.set == set, _d.run > run)

        def both(connection: Connection) -> tuple[int | None, int | None]:
            return connection.execute(before).scalar(), connection.execute(after).scalar()

        return await self._store.read(both)

    async def clients(self, set: str, first: int, last: int) -> list[str]:
        """Names of the clients in these runs."""
        query = select(_d.client).where(_d.set == set, _d.run.between(first, last), _d.client != "")
        return await self._numbers(query.distinct().order_by(_d.client))

    async def hosts(self, set: str) -> tuple[HostRow, ...]:
        """The present status of each computer, by name. Those that were not told for an hour before the newest one
        was are left out: they left their cluster, or have another alias."""
        newest = select(func.max(_h.id)).where(_h.set == set).group_by(_h.host)
        told = select(func.max(_h.seen_at) - _FORGOTTEN_US).where(_h.set == set).scalar_subquery()
        query = select(tables.host_status).where(_h.id.in_(newest), _h.seen_at >= told)
        return await self._every(query.order_by(_h.host), HostRow)

    async def host_changes(self, set: str, host: str = "", *, limit: int = MOST) -> tuple[HostRow, ...]:
        """Changes of one computer, or of all, the newest first."""
        query = select(tables.host_status).where(_h.set == set)
        if host:
            query = query.where(_h.host == host)
        return await self._every(query.order_by(_h.id.desc()).limit(limit), HostRow)

    async def now(self, kind: str = "", *, after_version: int = 0) -> tuple[RecordRow, ...]:
        """The present states of one kind, or of all. With `after_version` those that changed since, and those that
        were removed, which have no body."""
        query = select(tables.record_now).where(_n.version > after_version)
        if not after_version:
            query = query.where(_n.body.is_not(None))
        if kind:
            query = query.where(_n.kind == kind)
        return await self._every(query.order_by(_n.kind, _n.key).limit(MOST), RecordRow)

    async def history(
        self, kind: str, key: str = "", *, first: int = 0, last: int | None = None, limit: int = MOST
    ) -> tuple[RecordRow, ...]:
        """States of one kind, the newest first. `first`, `last`: µs since 1970."""
        query = select(tables.record).where(_r.kind == kind, _r.at >= first)
        if last is not None:
            query = query.where(_r.at <= last)
        # For one thing the index of its sequence has the order; that of the times would read those of all others too.
        order = (_r.sequence.desc(),) if key else (_r.at.desc(), _r.id.desc())
        if key:
            query = query.where(_r.key == key)
        return await self._every(query.order_by(*order).limit(limit), RecordRow)

    async def sources(self) -> tuple[SourceRow, ...]:
        """How each source is."""
        return await self._every(select(tables.mirror_state).order_by(tables.mirror_state.c.source), SourceRow)

    async def withheld(self) -> tuple[WithheldRow, ...]:
        """How much of each kind of record the inside kept back."""
        t = tables.withheld.c
        sums = (cast(func.sum(t[name]), BigInteger).label(name) for name in ("records", "lines", "lines_withheld"))
        return await self._every(select(t.kind, *sums).group_by(t.kind).order_by(t.kind), WithheldRow)

    async def fresh_days(self, first_day: int) -> tuple[FreshDay, ...]:
        """How long each kind of source was fresh, from this day on (days since 1970, UTC)."""
        t = tables.fresh_day
        query = select(t).where(t.c.day >= first_day).order_by(t.c.kind, t.c.day)
        return await self._every(query, FreshDay)

    async def _every(self, query: Select[Any], kind: type[rows.S]) -> tuple[rows.S, ...]:
        return await self._store.read(lambda connection: rows.every(connection, query, kind))

    async def _numbers(self, query: Select[Any]) -> list[Any]:
        return await self._store.read(lambda connection: list(connection.execute(query).scalars()))
