"""The API of events, newest first, page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.api.history import harmless
from countingroom.console.long_work import json_list
from countingroom.console.present.recent_events import EventFilter, Numbered, shown
from countingroom.console.responses import REFUSED, as_json, example, in_pieces
from countingroom.core import subjects
from countingroom.core.errors import RequestError
from countingroom.core.messages import EventKind
from countingroom.core.times import format_time, parse_time

router = APIRouter(tags=["events"])
_MOST = 50_000
"""Events in one file."""
_PAGE = 1000
_ROWS = 100
"""Rows of a file in one step of long work."""


class ExportFormat(StrEnum):
    """How the file is written."""

    CSV = "csv"
    JSON = "json"


def chosen(
    console: Console,
    source: Annotated[str, Query(description="Only of this device or partition")] = "",
    kind: Annotated[EventKind | None, Query(description="Only of this kind")] = None,
    text: Annotated[str, Query(max_length=200, description="in source, message, user, action or cause")] = "",
    begin: Annotated[str, Query(alias="from", description="at this time or later: ISO 8601, or relative: `-2h`")] = "",
    end: Annotated[str, Query(alias="to", description="before this time")] = "",
) -> EventFilter:
    """The filter from the query of the address."""
    if source and not subjects.is_token(source):
        raise RequestError(f"{source!r} is no source of events", source="console", code="invalid")
    now_ns = console.clock.now_ns()
    return EventFilter(
        source=source,
        kind=kind.value if kind else "",
        text=text,
        from_ns=parse_time(begin, now_ns=now_ns) if begin else None,
        to_ns=parse_time(end, now_ns=now_ns) if end else None,
    )


Wanted = Annotated[EventFilter, Depends(chosen)]


@router.get(
    "/events",
    summary="Events, newest first",
    responses={
        200: example(
            {
                "events": [
                    {
                        "sequence": 4211,
                        "kind": "done",
                        "time_ns": 1790000000000000000,
                        "department": "devices",
                        "source": "caen",
                        "channel": "0",
                        "message": "0.hv_setV is 120.0 V",
                        "severity": 0,
                        "principal": "local",
                        "command_id": "6f1c",
                    }
                ],
                "next_before": 4211,
            },
            "`next_before` is null at the beginning of the record.",
        ),
        422: REFUSED,
    },
)
async def get_events(
    console: Console,
    wanted: Wanted,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    before: Annotated[int | None, Query(ge=1, description="Only those with a smaller sequence")] = None,
) -> Response:
    """Give `before` the `next_before` of the last answer to read on. A page may have fewer events than there are."""
    events, further = await console.recent_events.page(wanted, limit=limit, before=before)
    return as_json({"events": [shown(one) for one in events], "next_before": further})


@router.get(
    "/events/export",
    summary="The same events as a file",
    dependencies=[HEAVY],
    responses={200: {"content": {"text/csv": {}, "application/json": {}}}, 422: REFUSED, 429: REFUSED},
)
async def export_events(
    console: Console,
    wanted: Wanted,
    format: Annotated[ExportFormat, Query()] = ExportFormat.CSV,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _MOST,
) -> Response:
    """All that match, newest first, up to `limit`."""
    found: list[Numbered] = []
    before: int | None = None
    while len(found) < limit:
        events, before = await console.recent_events.page(wanted, limit=min(_PAGE, limit - len(found)), before=before)
        found += events
        if before is None:
            break
    if format is ExportFormat.CSV:
        return in_pieces(console.long_work, _csv(found), "text/csv; charset=utf-8", file_name="events.csv")
    listed = json_list("events", [shown(one) for one in found])
    return in_pieces(console.long_work, listed, "application/json", file_name="events.json")


_COLUMNS = ("time", "severity", "department", "source", "channel", "kind", "action", "message", "principal", "cause")


def _csv(events: Sequence[Numbered]) -> Iterator[bytes]:
    yield (",".join(("sequence", *_COLUMNS)) + "\r\n").encode()
    for first in range(0, len(events), _ROWS):
        text = io.StringIO()
        rows = csv.writer(text)
        for sequence, event in events[first : first + _ROWS]:
            cells = (
                format_time(event.time_ns),
                event.severity,
                event.department,
                event.source,
                event.channel,
                event.kind.value,
                event.action,
                event.message,
                event.principal,
                event.cause.message if event.cause else "",
            )
            rows.writerow((sequence, *(harmless(cell) if isinstance(cell, str) else cell for cell in cells)))
        yield text.getvalue().encode()
