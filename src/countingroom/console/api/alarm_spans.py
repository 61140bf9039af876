"""The API of the spans in which points were in alarm, for trends: from the alarm history in the database."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from msgspec import Struct

from countingroom.console.api.devices import Console
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.alarms import identity
from countingroom.core.alarms.history import AlarmHistoryFilter
from countingroom.core.alarms.spans import AlarmSpan, active_spans
from countingroom.core.errors import RequestError
from countingroom.core.policy import Permission
from countingroom.core.times import parse_time

router = APIRouter(tags=["alarms"])
ROUTES = {"GET /api/v1/alarms/spans": RoutePermission(action=Permission.VIEW)}
_POINTS = 32
"""Most points of one question: four plots of eight."""
_ROWS = 2000
"""Rows of the history of a point that are looked at, the newest of the range."""
_STEPS = 1000
"""Parts of the range that a picture can separate."""


class PointAlarm(Struct, frozen=True, kw_only=True):
    """Where one point was in alarm."""

    point: str
    """`<device>.<point>`."""
    alarm: str
    """Identity of its alarm."""
    spans: tuple[AlarmSpan, ...]


@router.get(
    "/alarms/spans",
    summary="When points were in alarm, with which priority",
    responses={
        200: example(
            {
                "points": [
                    {
                        "point": "chiller.internal_temp",
                        "alarm": "point.chiller.internal_temp",
                        "spans": [
                            {"begin_ns": 1790000000000000000, "end_ns": 1790000600000000000, "priority": 3},
                            {"begin_ns": 1790000600000000000, "end_ns": None, "priority": 2},
                        ],
                    }
                ]
            },
            "`end_ns` is null where it is in alarm at the end of the range.",
        ),
        422: REFUSED,
        503: REFUSED,
    },
)
async def get_spans(
    console: Console,
    point: Annotated[list[str], Query(min_length=1, max_length=_POINTS, description="`<device>.<point>`; repeat it")],
    begin: Annotated[str, Query(alias="from", description="ISO 8601, `-1h`, `yesterday`, or since 1970")] = "-1h",
    end: Annotated[str, Query(alias="to")] = "now",
) -> Response:
    """Of each point beyond its limits. Without a database there are none."""
    now_ns = console.clock.now_ns()
    from_ns, to_ns = parse_time(begin, now_ns=now_ns), parse_time(end, now_ns=now_ns)
    if from_ns >= to_ns:
        raise RequestError(
            "`from` must be before `to`", source="console", code="invalid", suggestion="give an earlier `from`"
        )
    found: list[PointAlarm] = []
    for address in dict.fromkeys(point):
        device, _, name = address.partition(".")
        alarm = identity.of_point(device, name)
        spans: tuple[AlarmSpan, ...] = ()
        if console.database is not None:
            history = console.database.alarms.history
            rows = await history(AlarmHistoryFilter(alarm=alarm, from_ns=from_ns, to_ns=to_ns, limit=_ROWS))
            # The state at the begin follows from the last row before it.
            first = await history(AlarmHistoryFilter(alarm=alarm, to_ns=from_ns, limit=1)) if len(rows) < _ROWS else ()
            spans = active_spans((*first, *reversed(rows)), from_ns, (to_ns - from_ns) // _STEPS)
        found.append(PointAlarm(point=address, alarm=alarm, spans=spans))
    return as_json({"points": found})
