"""A database with a history of alarms: a day with a flood, a chattering, a fleeting and a slow alarm."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import BaseState
from countingroom.storage.database import Database

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
BATH = "point.chiller.internal_temp"


@asynccontextmanager
async def opened(database: Database) -> AsyncGenerator[Database]:
    """The database is open while entered."""
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def entry(time_ns: int, alarm: str, kind: HistoryKind, occurrence: int = 1, priority: int = 3) -> AlarmEntry:
    """One row."""
    base = {HistoryKind.RETURNED: BaseState.RETURNED, HistoryKind.ACKNOWLEDGED: BaseState.ACKNOWLEDGED}
    return AlarmEntry(
        time_ns=time_ns,
        alarm=alarm,
        area="cooling/chiller" if "chiller" in alarm else "power",
        title="Julabo chiller / Bath" if alarm == BATH else alarm,
        kind=kind,
        occurrence=occurrence,
        base=base.get(kind, BaseState.UNACKNOWLEDGED),
        priority=priority,
    )


def a_day(end_ns: int) -> Iterator[AlarmEntry]:
    """Nearly the 24 hours before a time: 40 announcements in a flood, one an hour before, four that chatter."""
    begin_ns = end_ns - 24 * HOUR_NS + 300 * SECOND_NS
    for hour in range(12):
        at_ns = begin_ns + hour * HOUR_NS
        yield entry(at_ns, BATH, HistoryKind.ANNOUNCED, hour + 1, 2)
        yield entry(at_ns + 45 * SECOND_NS, BATH, HistoryKind.ACKNOWLEDGED, hour + 1, 2)
        yield entry(at_ns + 600 * SECOND_NS, BATH, HistoryKind.RETURNED, hour + 1, 2)
    for number in range(40):
        at_ns = begin_ns + 14 * HOUR_NS + 15 * number * SECOND_NS
        yield entry(at_ns, f"point.caen.{number}.hv_iMon", HistoryKind.ANNOUNCED, 1, 1 if number < 4 else 3)
    for number in range(4):
        at_ns = begin_ns + 20 * HOUR_NS + 12 * number * SECOND_NS
        yield entry(at_ns, "point.chiller.level", HistoryKind.ANNOUNCED, number + 1)
        yield entry(at_ns + 5 * SECOND_NS, "point.chiller.level", HistoryKind.RETURNED, number + 1)


async def keep_a_day(database: Database, end_ns: int) -> None:
    """Store that day."""
    writer = await database.alarms.take_over("test")
    await database.alarms.save(writer, (), tuple(a_day(end_ns)))
