"""Keeps how long each kind of source was fresh, day by day: the public store's own record of its uptime.

A kind of source is fresh for so long after one of its sources answered. Each answer adds the part of that time which is
not counted yet, so a repeated or late one adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, delete, func, select

from countingroom.mirror.store import tables
from countingroom.mirror.store.values import SourceState
from countingroom.storage.inserting import meeting_insert

FRESH_US = 120_000_000
"""So long a source is fresh after its last answer."""
DAY_US = 86_400_000_000
_KEPT_DAYS = 400


def note_freshness(connection: Connection, states: Sequence[SourceState], now: int) -> None:
    """Add what the last answers of these sources tell. Nothing of the future counts, and nothing of days that are not
    kept."""
    heard: dict[str, int] = {}
    for one in states:
        if one.contact_at > now - _KEPT_DAYS * DAY_US:
            heard[one.kind] = max(heard.get(one.kind, 0), min(one.contact_at, now))
    t = tables.fresh_day
    for kind, contact in heard.items():
        known = connection.execute(select(func.max(t.c.until)).where(t.c.kind == kind)).scalar()
        begin, end = max(contact, known or 0), contact + FRESH_US
        for day, first, last in _days(begin, end):
            insert = meeting_insert(connection, t).values(
                kind=kind, day=day, begun=first, until=last, fresh=last - first
            )
            changes = {"until": insert.excluded.until, "fresh": t.c.fresh + insert.excluded.fresh}
            connection.execute(insert.on_conflict_do_update(index_elements=["kind", "day"], set_=changes))


def forget_old_days(connection: Connection, now: int) -> int:
    """Remove the days before the last 400; how many rows."""
    t = tables.fresh_day
    return connection.execute(delete(t).where(t.c.day < now // DAY_US - _KEPT_DAYS)).rowcount


def _days(begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The time as its parts in each day (UTC)."""
    while begin < end:
        day = begin // DAY_US
        last = min(end, (day + 1) * DAY_US)
        yield day, begin, last
        begin = last
