"""The API of events, newest first, page by page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from countingroom.console.api.devices import Console
from countingroom.console.present.recent_events import shown
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core import subjects
from countingroom.core.errors import RequestError
from countingroom.core.messages import EventKind

router = APIRouter(tags=["events"])


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
    source: Annotated[str, Query(description="Only of this device")] = "",
    kind: Annotated[EventKind | None, Query(description="Only of this kind")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    before: Annotated[int | None, Query(ge=1, description="Only those with a smaller sequence")] = None,
) -> Response:
    """Give `before` the `next_before` of the last answer to read on."""
    if source and not subjects.is_token(source):
        raise RequestError(f"{source!r} is no source of events", source="console", code="invalid")
    events, further = await console.recent_events.page(
        source=source, kind=kind.value if kind else "", limit=limit, before=before
    )
    return as_json({"events": [shown(one) for one in events], "next_before": further})
