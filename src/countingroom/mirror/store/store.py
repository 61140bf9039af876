"""Writes the public store. It takes redacted values only, and each call is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, and_, case, delete, false, func, or_, select, update

from countingroom.core.clock import Clock
from countingroom.mirror.store import tables
from countingroom.mirror.store.freshness import forget_old_days, note_freshness
from countingroom.mirror.store.migrating import migrate
from countingroom.mirror.store.values import (
    Cursor,
    HostState,
    PublicDocument,
    PublicRetention,
    RecordEntry,
    SourceState,
    WithheldEntry,
)
from countingroom.storage.engine import SqlStore
from countingroom.storage.inserting import meeting_insert
from countingroom.storage.sqlite_file import make_or_check

FILE = Path("mirror") / "public.sqlite"
"""In the data folder."""
_COUNTS = ("taken", "withheld", "lines", "lines_withheld", "hits")
_FORGOTTEN_US = 86_400_000_000
"""A source whose state was not written for so long is no source any more, or has another alias."""
_AT_ONCE = 5000
"""Rows that one transaction prunes."""


class PublicStore:
    """The public store at `sqlite:////path/of/file` or `postgresql://user@host/name`.

    Every method raises LinkError if the database does not answer; the change is then made completely or not at all.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._store = SqlStore(url)
        self._clock = clock

    @property
    def address(self) -> str:
        """Its URL, without the password."""
        return self._store.url.render_as_string(hide_password=True)

    async def open(self) -> None:
        """Make or migrate the tables. ConfigurationError for a file that is damaged, or of a newer version."""
        store = self._store
        if store.is_sqlite and store.url.database:
            path = Path(store.url.database)
            await store.outside(lambda _: make_or_check(path))
        await store.migrate(migrate)

    async def close(self) -> None:
        """Close after the pending transactions."""
        await self._store.close()

    async def take(
        self,
        documents: Sequence[PublicDocument] = (),
        cursor: Cursor | None = None,
        *,
        hosts: Sequence[HostState] = (),
        records: Sequence[RecordEntry] = (),
        states: Sequence[SourceState] = (),
        withheld: Sequence[WithheldEntry] = (),
    ) -> None:
        """Write all of this, and how far its source has been read, or nothing. What is there already is not written
        again."""
        now = self._now()

        def write(connection: Connection) -> None:
            _take(connection, now, documents, cursor, hosts, records, states)
            _put_withheld(connection, withheld)

        await self._store.write(write)

    async def cursors(self, upstream: str) -> dict[str, int]:
        """Alias of the host -> revision up to which it has been read."""
        t = tables.cursor.c
        query = select(t.host, t.revision).where(t.upstream == upstream)
        return await self._store.read(lambda connection: {row.host: row.revision for row in connection.execute(query)})

    async def prune(self, retention: PublicRetention) -> int:
        """Remove what is too old or too much; how many rows. Call again until it returns 0."""
        now = self._now()
        return await self._store.write(lambda connection: _prune(connection, retention, now))

    def _now(self) -> int:
        return self._clock.now_ns() // 1000


def _take(
    connection: Connection,
    now: int,
    documents: Sequence[PublicDocument],
    cursor: Cursor | None,
    hosts: Sequence[HostState],
    records: Sequence[RecordEntry],
    states: Sequence[SourceState],
) -> None:
    changed = _changed(connection, hosts)
    if documents or changed or records:
        version = _next_version(connection, now)
        _put_documents(connection, documents, now, version)
        _put_hosts(connection, changed, now, version)
        _put_records(connection, records, version)
    _see_hosts(connection, hosts, now)
    if cursor:
        values = {"upstream": cursor.upstream.value, "host": cursor.host.value, "revision": cursor.revision, "at": now}
        _upsert(connection, tables.cursor, [values], ("upstream", "host"))
    for state in states:
        _put_state(connection, state, now)
    note_freshness(connection, states, now)


def _next_version(connection: Connection, now: int) -> int:
    t = tables.version
    present = connection.execute(select(t.c.number)).scalar_one_or_none()
    if present is None:
        connection.execute(t.insert().values(id=1, number=1, at=now))
        return 1
    connection.execute(update(t).values(number=present + 1, at=now))
    return present + 1


def _put_documents(connection: Connection, documents: Sequence[PublicDocument], now: int, version: int) -> None:
    # The newest of each: PostgreSQL refuses to write a row twice in one statement.
    newest = {(one.set, one.id.value): one for one in documents}.values()
    rows = [_document(one, now, version) for one in newest]
    _upsert(connection, tables.document, rows, ("set", "document_id"), unless_same="revision")
    logs = [
        {"set": one.set, "document_id": one.id.value, "lines": one.log.value} for one in newest if one.log is not None
    ]
    _upsert(connection, tables.document_log, logs, ("set", "document_id"))


def _document(one: PublicDocument, now: int, version: int) -> dict[str, Any]:
    body = one.body.value
    run, client = body.get("run"), body.get("client")
    return {
        "set": one.set,
        "kind": one.kind,
        "document_id": one.id.value,
        "source": one.source.value,
        "revision": one.revision,
        "run": run if isinstance(run, int) else None,
        "client": client if isinstance(client, str) else "",
        "at": _us(body.get("time"), now),
        "version": version,
        "body": body,
    }


def _us(time: Any, now: int) -> int:
    """A time as the redactor lets it out, in µs: ISO 8601, or s, ms, or ns since 1970."""
    if isinstance(time, str):
        return round(datetime.fromisoformat(time).timestamp() * 1e6)
    if not isinstance(time, int | float):
        return now
    return round(time * 1e6 if time < 1e11 else time * 1e3 if time < 1e14 else time / 1e3)


def _changed(connection: Connection, hosts: Sequence[HostState]) -> list[HostState]:
    """Those that differ from the last row of their computer."""
    if not hosts:
        return []
    t = tables.host_status
    last = select(func.max(t.c.id)).group_by(t.c.set, t.c.host)
    present = {
        (row.set, row.host): (row.is_up, row.message) for row in connection.execute(select(t).where(t.c.id.in_(last)))
    }
    newest = {(one.set, one.host.value): one for one in hosts}
    return [one for key, one in newest.items() if present.get(key) != (one.is_up, one.message.value)]


def _put_hosts(connection: Connection, hosts: Sequence[HostState], now: int, version: int) -> None:
    rows = [
        {"set": one.set, "host": one.host.value, "is_up": one.is_up, "message": one.message.value}
        | {"at": now, "version": version, "seen_at": now}
        for one in hosts
    ]
    if rows:
        connection.execute(tables.host_status.insert(), rows)


def _see_hosts(connection: Connection, hosts: Sequence[HostState], now: int) -> None:
    t = tables.host_status
    for name in {one.set for one in hosts}:
        mine = and_(t.c.set == name, t.c.host.in_({one.host.value for one in hosts if one.set == name}))
        last = select(func.max(t.c.id)).where(mine).group_by(t.c.host)
        connection.execute(update(t).where(t.c.id.in_(last.scalar_subquery())).values(seen_at=now))


def _put_records(connection: Connection, records: Sequence[RecordEntry], version: int) -> None:
    rows = [(one, {"kind": one.kind, "key": one.key.value, "sequence": one.sequence, "at": one.at}) for one in records]
    bodies = [one.body.value if one.body else None for one in records]
    history = [{**row, "body": body} for (one, row), body in zip(rows, bodies, strict=True) if one.keep]
    if history:
        connection.execute(meeting_insert(connection, tables.record).on_conflict_do_nothing(), history)
    # The newest of each: PostgreSQL refuses to write a row twice in one statement.
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for (one, row), body in zip(rows, bodies, strict=True):
        key = (one.kind, one.key.value)
        if one.is_state and (key not in newest or newest[key]["sequence"] < one.sequence):
            newest[key] = {**row, "version": version, "body": body}
    if not newest:
        return
    now = tables.record_now
    insert = meeting_insert(connection, now)
    changes = {name: insert.excluded[name] for name in ("sequence", "at", "version", "body")}
    newer = now.c.sequence < insert.excluded.sequence
    connection.execute(
        insert.on_conflict_do_update(index_elements=["kind", "key"], set_=changes, where=newer), list(newest.values())
    )


def _put_withheld(connection: Connection, withheld: Sequence[WithheldEntry]) -> None:
    t = tables.withheld
    for one in withheld:
        counts = {name: getattr(one, name) for name in ("records", "lines", "lines_withheld")}
        insert = meeting_insert(connection, t).values(feed=one.feed.value, kind=one.kind, **counts)
        # A batch that was late on its way must not take back what a later one has told.
        changes = {
            name: case((insert.excluded[name] > t.c[name], insert.excluded[name]), else_=t.c[name]) for name in counts
        }
        connection.execute(insert.on_conflict_do_update(index_elements=["feed", "kind"], set_=changes))


def _put_state(connection: Connection, state: SourceState, now: int) -> None:
    t = tables.mirror_state
    values = {name: getattr(state, name) for name in state.__struct_fields__ if name != "source"}
    insert = meeting_insert(connection, t).values(source=state.source.value, at=now, **values)
    changes: dict[str, Any] = {name: insert.excluded[name] for name in ("at", *values)}
    changes |= {name: t.c[name] + insert.excluded[name] for name in _COUNTS}
    if not state.contact_at:
        del changes["contact_at"]
    connection.execute(insert.on_conflict_do_update(index_elements=["source"], set_=changes))


def _upsert(
    connection: Connection, table: Table, rows: list[dict[str, Any]], key: Iterable[str], *, unless_same: str = ""
) -> None:
    if not rows:
        return
    insert = meeting_insert(connection, table)
    changes = {name: insert.excluded[name] for name in rows[0] if name not in key}
    where = table.c[unless_same] != insert.excluded[unless_same] if unless_same else None
    connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changes, where=where), rows)


def _prune(connection: Connection, retention: PublicRetention, now: int) -> int:
    before = now - retention.age_us
    states = tables.mirror_state
    gone = connection.execute(delete(states).where(states.c.at < now - _FORGOTTEN_US)).rowcount
    document, record, hosts = tables.document, tables.record, tables.host_status
    gone += forget_old_days(connection, now)
    for of in _groups(connection, document, "set", "kind"):
        which = _oldest(connection, document, of, before, retention.documents)
        ids = connection.execute(
            select(document.c.set, document.c.document_id).where(which).order_by(document.c.at).limit(_AT_ONCE)
        ).all()
        for set_name in {row.set for row in ids}:
            names = [row.document_id for row in ids if row.set == set_name]
            for table in (document, tables.document_log):
                connection.execute(delete(table).where(table.c.set == set_name, table.c.document_id.in_(names)))
        gone += len(ids)
    for of in _groups(connection, record, "kind"):
        which = _oldest(connection, record, of, before, retention.records)
        ids = connection.execute(select(record.c.id).where(which).order_by(record.c.id).limit(_AT_ONCE)).scalars().all()
        gone += connection.execute(delete(record).where(record.c.id.in_(ids))).rowcount
    present = tables.record_now
    gone += connection.execute(delete(present).where(present.c.body.is_(None), present.c.at < before)).rowcount
    last = select(func.max(hosts.c.id)).group_by(hosts.c.set, hosts.c.host)
    old = select(hosts.c.id).where(hosts.c.at < before, hosts.c.id.not_in(last)).limit(_AT_ONCE)
    gone += connection.execute(delete(hosts).where(hosts.c.id.in_(connection.execute(old).scalars().all()))).rowcount
    return gone


def _groups(connection: Connection, table: Table, *names: str) -> list[Mapping[str, Any]]:
    query = select(*(table.c[name] for name in names)).distinct()
    return [dict(row) for row in connection.execute(query).mappings()]


def _oldest(connection: Connection, table: Table, of: Mapping[str, Any], before: int, most: int) -> Any:
    """Of a group those that are too old, or are more than so many."""
    mine = and_(*(table.c[name] == value for name, value in of.items()))
    newest = select(table.c.at, table.c.id).where(mine).order_by(table.c.at.desc(), table.c.id.desc())
    edge = connection.execute(newest.offset(most).limit(1)).first()
    too_much = or_(table.c.at < edge.at, and_(table.c.at == edge.at, table.c.id <= edge.id)) if edge else false()
    return and_(mine, or_(table.c.at < before, too_much))
