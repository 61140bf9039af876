"""The API of the history for listing points, looking up a moment and exporting every sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.long_work import json_columns
from countingroom.console.query_client import ask
from countingroom.console.responses import REFUSED, as_json, example, in_pieces, refusals
from countingroom.core.series import ExportAnswer, ExportQuery, LastAnswer, LastQuery, PointsAnswer, PointsQuery
from countingroom.core.times import parse_time

router = APIRouter(tags=["history"])
_POINTS = 1000
"""Most points of one question."""

Addresses = Annotated[
    list[str], Query(alias="point", min_length=1, max_length=_POINTS, description="`<device>.<point>`; repeat it")
]


@router.get(
    "/history/points",
    summary="Points in the history",
    responses={200: example({"points": ["chiller.internal_temp"]}), 503: REFUSED},
)
async def list_points(console: Console, prefix: Annotated[str, Query()] = "") -> Response:
    """Addresses, sorted, that begin with `prefix`."""
    answer = await ask(console.bus, "history", "points", PointsQuery(prefix=prefix), PointsAnswer)
    return as_json({"points": answer.points})


@router.get(
    "/history/last",
    summary="The value of points at a moment",
    responses={
        200: example(
            {
                "readings": {
                    "chiller.internal_temp": {
                        "value": -12.48,
                        "quality": 0,
                        "device_ns": 1790000000000000000,
                        "received_ns": 1790000000000210000,
                    }
                }
            },
            "Points that had none by then are left out.",
        ),
        **refusals(422, 503),
    },
)
async def get_last(console: Console, points: Addresses, at: Annotated[str, Query()] = "now") -> Response:
    """The last reading of each at or before the time."""
    moment = parse_time(at, now_ns=console.clock.now_ns())
    answer = await ask(console.bus, "history", "last", LastQuery(points=tuple(points), at_ns=moment), LastAnswer)
    return as_json(answer.last)


@router.get(
    "/history/export",
    summary="Every sample of points, page by page",
    dependencies=[HEAVY],
    responses={
        200: example(
            {
                "points": ["chiller.internal_temp"],
                "samples": {
                    "point": [0],
                    "time_ns": [1790000000000000000],
                    "value": [-12.48],
                    "quality": [0],
                    "device_ns": [1790000000000000000],
                    "received_ns": [1790000000000210000],
                    "sent_ns": [],
                    "place": [],
                    "alarm": [],
                    "whole": [],
                },
                "next_ns": 1790000060000000000,
            },
            "`samples.point` are indices into `points`. Ask again with `from` = `next_ns` until that is null.",
        ),
        **refusals(422, 503),
    },
)
async def export(
    console: Console,
    points: Addresses,
    begin: Annotated[str, Query(alias="from")] = "-1h",
    end: Annotated[str, Query(alias="to")] = "now",
    limit: Annotated[int, Query(ge=1, le=50_000, description="about so many samples a page")] = 20_000,
    messages: Annotated[bool, Query(description="also the message in which each sample came")] = False,
) -> Response:
    """Raw samples in order of time; samples of one moment are on one page. With `messages` each sample has `sent_ns`,
    the time at which its message was sent (0: not known), `place`, its row in that message, `alarm`, the priority
    that the device itself gave to the value, and `whole`, 1 where that message had all points of its device. Without
    it these lists are empty."""
    now_ns = console.clock.now_ns()
    question = ExportQuery(
        points=tuple(points),
        start_ns=parse_time(begin, now_ns=now_ns),
        end_ns=parse_time(end, now_ns=now_ns),
        limit=limit,
        messages=messages,
    )
    answer = await ask(console.bus, "history", "export", question, ExportAnswer)
    return in_pieces(console.long_work, _page(points, answer), "application/json")


def _page(points: list[str], answer: ExportAnswer) -> Iterator[bytes]:
    yield b'{"points":%s,"samples":' % msgspec.json.encode(points)
    yield from json_columns(answer.samples)
    yield b',"next_ns":%s}' % msgspec.json.encode(answer.next_ns)
