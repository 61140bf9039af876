"""The API of the history of all alarms as it is stored, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.query_client import ask
from countingroom.console.responses import example, in_pieces, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.alarms.queries import EntriesAnswer, EntriesQuery
from countingroom.core.policy import Permission
from countingroom.core.times import parse_time

router = APIRouter(tags=["alarms"])
ROUTES = {"GET /api/v1/alarms/entries": RoutePermission(action=Permission.VIEW)}
_MOST = 5000
_ROWS = 50
"""Entries encoded in one step."""


@router.get(
    "/alarms/entries",
    summary="The history of all alarms as it is stored, those stored last first",
    dependencies=[HEAVY],
    responses={
        200: example(
            {
                "entries": [
                    {
                        "sequence": 71,
                        "time_ns": 1790000000000000000,
                        "alarm": "point.chiller.internal_temp",
                        "kind": "announced",
                        "occurrence": 3,
                        "priority": 2,
                    }
                ],
                "next_before": 71,
            },
            "`next_before` is null on the last page.",
        ),
        **refusals(422, 503),
    },
)
async def list_entries(
    console: Console,
    begin: Annotated[str, Query(alias="from", description="ISO 8601, `-1h`, `yesterday`, or since 1970")] = "-1d",
    end: Annotated[str, Query(alias="to", description="entries before this time")] = "now",
    before: Annotated[int | None, Query(ge=1, lt=2**63, description="`next_before` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 1000,
) -> Response:
    """Announcements, returns and what people did, of every alarm. Give `before` to read on."""
    now_ns = console.clock.now_ns()
    question = EntriesQuery(
        from_ns=parse_time(begin, now_ns=now_ns), to_ns=parse_time(end, now_ns=now_ns), before=before, limit=limit
    )
    answer = await ask(console.bus, "alarms", "entries", question, EntriesAnswer)
    return in_pieces(console.long_work, _page(answer), "application/json")


def _page(answer: EntriesAnswer) -> Iterator[bytes]:
    yield b'{"entries":['
    for first in range(0, len(answer.entries), _ROWS):
        yield (b"," if first else b"") + msgspec.json.encode(answer.entries[first : first + _ROWS])[1:-1]
    yield b'],"next_before":%s}' % msgspec.json.encode(answer.next_before)
