"""The API of the figures of EEMUA 191: counted from the alarm history in the database, in slices."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from msgspec import Struct

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.api.history import harmless
from countingroom.console.context import ConsoleContext
from countingroom.console.present import alarm_views
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.alarms import figures as judged
from countingroom.core.alarms.figures import Figure, PresentFigures
from countingroom.core.alarms.statistics import (
    ACKNOWLEDGE_EDGES_S,
    HOUR_NS,
    AlarmCount,
    AlarmStatistics,
    CountedRow,
    StatisticsCounter,
)
from countingroom.core.errors import Conflict, RequestError
from countingroom.core.policy import Permission
from countingroom.core.times import format_time, parse_time

router = APIRouter(tags=["alarms"])
ROUTES = {"GET /api/v1/alarms/statistics": RoutePermission(action=Permission.VIEW)}
_AT_ONCE = 100
"""Rows that are counted in one step of a slice."""


class StatisticsFormat(StrEnum):
    """How the answer is written."""

    JSON = "json"
    CSV = "csv"


class StatisticsTable(StrEnum):
    """Which table a CSV file has."""

    FIGURES = "figures"
    RATES = "rates"
    FLOODS = "floods"
    ACTORS = "actors"
    CHATTERING = "chattering"
    FLEETING = "fleeting"
    STALE = "stale"
    ACKNOWLEDGED = "acknowledged"


class AlarmFigures(Struct, frozen=True, kw_only=True):
    """The answer: figures with their targets, and what they are made of."""

    area: str
    operators: int
    figures: tuple[Figure, ...]
    counted: AlarmStatistics
    now: PresentFigures
    edges_s: tuple[int, ...] = ACKNOWLEDGE_EDGES_S
    """Upper ends of the bins of `counted.acknowledged.histogram`."""


_EXAMPLE: dict[str, Any] = {
    "area": "",
    "operators": 1,
    "figures": [
        {
            "key": "per_hour",
            "title": "Alarms per operator hour",
            "value": 4.2,
            "unit": "",
            "target": "at most 6, manageable to 12",
            "verdict": "acceptable",
        }
    ],
    "counted": {
        "from_ns": 1790000000000000000,
        "to_ns": 1790086400000000000,
        "announced": 101,
        "priorities": [5, 15, 81, 0],
        "peak": 12,
        "floods": [{"begin_ns": 1790001000000000000, "end_ns": 1790002000000000000, "count": 14, "peak": 12}],
        "actors": [
            {"id": "point.chiller.internal_temp", "title": "Julabo chiller / Bath", "area": "cooling", "priority": 2}
        ],
    },
    "now": {"standing": 3, "stale_count": 0, "unacknowledged": 1, "shelved": 2, "suppressed": 0, "out_of_service": 1},
    "edges_s": list(ACKNOWLEDGE_EDGES_S),
}


@router.get(
    "/alarms/statistics",
    summary="Figures of EEMUA 191 with their targets: rates, floods, worst actors, times to acknowledge",
    dependencies=[HEAVY],
    responses={
        200: example(_EXAMPLE, "`counted.bins` is the rate over the range; a CSV file has one of the tables."),
        422: REFUSED,
        429: REFUSED,
        503: REFUSED,
    },
)
async def get_statistics(
    console: Console,
    begin: Annotated[str, Query(alias="from", description="ISO 8601, `-1d`, `yesterday`, or since 1970")] = "-1d",
    end: Annotated[str, Query(alias="to")] = "now",
    area: Annotated[str, Query(max_length=300, description="this area and those below it")] = "",
    operators: Annotated[int, Query(ge=1, le=100, description="persons who share the alarms")] = 1,
    format: Annotated[StatisticsFormat, Query()] = StatisticsFormat.JSON,
    table: Annotated[StatisticsTable, Query(description="of a CSV file")] = StatisticsTable.FIGURES,
) -> Response:
    """The range begins at the first row of the history where that is later, and is at least an hour. What is now
    (standing, stale, shelved …) is of the time of the question."""
    now_ns = console.clock.now_ns()
    from_ns, to_ns = parse_time(begin, now_ns=now_ns), min(parse_time(end, now_ns=now_ns), now_ns)
    if from_ns >= to_ns:
        raise RequestError("`from` must be before `to`, and in the past", source="console", code="invalid")
    counted = await _count(console, from_ns, to_ns, area)
    now = judged.present(alarm_views.all_alarms(console.latest.words).values(), now_ns, area)
    found = AlarmFigures(
        area=area, operators=operators, figures=judged.figures(counted, now, operators), counted=counted, now=now
    )
    if format is StatisticsFormat.JSON:
        return as_json(found)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_csv(found, table))
    headers = {"Content-Disposition": f'attachment; filename="alarm-{table}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


async def _count(console: ConsoleContext, from_ns: int, to_ns: int, area: str) -> AlarmStatistics:
    """Read the rows in parts and count them in slices: a long range takes no memory, and delays no other request."""
    if console.database is None:
        raise Conflict(
            "this console has no database with the history of alarms",
            code="no_database",
            source="console",
            suggestion="ask a console that has the database of the experiment",
        )
    history = console.database.alarms
    async with console.long_work.reading:
        oldest_ns = await history.oldest_ns()
    # The time before the first row is not one without alarms: the rates would be too low.
    if oldest_ns is not None and oldest_ns > from_ns:
        from_ns = max(from_ns, min(oldest_ns, to_ns - HOUR_NS))
    counter = StatisticsCounter(from_ns, to_ns)
    last: CountedRow | None = None
    while True:
        async with console.long_work.reading:
            rows = await history.counted_rows(from_ns, to_ns, area, last)
        if not rows:
            return counter.result()
        last = rows[-1]
        async for _ in console.long_work.slices(_steps(counter, rows)):
            pass


def _steps(counter: StatisticsCounter, rows: Sequence[CountedRow]) -> Iterator[None]:
    for first in range(0, len(rows), _AT_ONCE):
        for row in rows[first : first + _AT_ONCE]:
            counter.add(row)
        yield


def _csv(found: AlarmFigures, table: StatisticsTable) -> Iterator[Iterable[object]]:
    counted = found.counted
    match table:
        case StatisticsTable.FIGURES:
            yield "figure", "value", "unit", "target", "verdict"
            for one in found.figures:
                yield one.title, one.value, one.unit, one.target, one.verdict
        case StatisticsTable.RATES:
            yield "from", "priority 1", "priority 2", "priority 3", "priority 4"
            for one in counted.bins:
                yield format_time(one.begin_ns), *one.counts
        case StatisticsTable.FLOODS:
            yield "begin", "end", "count", "peak"
            for one in counted.floods:
                end = "" if one.end_ns is None else format_time(one.end_ns)
                yield format_time(one.begin_ns), end, one.count, one.peak
        case StatisticsTable.ACTORS:
            yield from _alarms(counted.actors)
        case StatisticsTable.CHATTERING:
            yield from _alarms(counted.chattering)
        case StatisticsTable.FLEETING:
            yield from _alarms(counted.fleeting)
        case StatisticsTable.STALE:
            yield "alarm", "source", "area", "priority", "since"
            for one in found.now.stale:
                yield one.id, harmless(one.title), one.area, one.priority, format_time(one.since_ns)
        case StatisticsTable.ACKNOWLEDGED:
            yield "at most s", "acknowledged"
            yield from zip((*found.edges_s, ""), counted.acknowledged.histogram, strict=True)


def _alarms(alarms: Iterable[AlarmCount]) -> Iterator[Iterable[object]]:
    yield "alarm", "source", "area", "priority", "count", "share"
    for one in alarms:
        yield one.id, harmless(one.title), one.area, one.priority, one.count, f"{one.share:.4f}"
