"""Law: what the history holds can be listed, looked up at a moment, and taken away sample by sample."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Query, Response
from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.console.answers import REFUSED, as_json, example
from countingroom.console.api.devices import Here
from countingroom.core import subjects
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import encode
from countingroom.core.series import (
    ExportAnswer,
    ExportQuery,
    LastAnswer,
    LastQuery,
    PointsAnswer,
    PointsQuery,
    Refusal,
)
from countingroom.core.times import parse_time

router = APIRouter(tags=["history"])
_ANSWER_S = 20.0
_POINTS = 1000
"""Most points of one question."""

Answer = TypeVar("Answer", bound=Struct)
Addresses = Annotated[
    list[str], Query(alias="point", min_length=1, max_length=_POINTS, description="`<device>.<point>`; repeat it")
]


class Refused(CountingRoomError):
    """The history's own Cause, unchanged."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.cause.message)
        self.cause = refusal.cause


async def ask(bus: Bus, what: str, question: Struct, kind: type[Answer]) -> Answer:
    """The history's answer; Refused, or LinkError where it gives none."""
    try:
        message = await bus.request(subjects.query("history", what), encode(question), timeout_s=_ANSWER_S)
    except LinkError as error:
        nobody = error.cause.code == "no_responders"
        raise LinkError(
            "the history is not running" if nobody else "the history gave no answer",
            code="unreachable" if nobody else "timeout",
            source="history",
            suggestion="start it: countingroom serve … history" if nobody else "ask for less at once",
            causes=(error.cause,),
        ) from error
    answer: Answer | Refusal = msgspec.msgpack.decode(message.data, type=kind | Refusal)
    if isinstance(answer, Refusal):
        raise Refused(answer)
    return answer


@router.get(
    "/history/points",
    summary="Points that have a past",
    responses={200: example({"points": ["chiller.internal_temp"]}), 503: REFUSED},
)
async def list_points(here: Here, prefix: Annotated[str, Query()] = "") -> Response:
    """Addresses, sorted, that begin with `prefix`."""
    answer = await ask(here.bus, "points", PointsQuery(prefix=prefix), PointsAnswer)
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
        422: REFUSED,
        503: REFUSED,
    },
)
async def get_last(here: Here, points: Addresses, at: Annotated[str, Query()] = "now") -> Response:
    """The last reading of each at or before the time."""
    moment = parse_time(at, now_ns=here.clock.now_ns())
    answer = await ask(here.bus, "last", LastQuery(points=tuple(points), at_ns=moment), LastAnswer)
    return as_json(answer.last)


@router.get(
    "/history/export",
    summary="Every sample of points, page by page",
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
                },
                "next_ns": 1790000060000000000,
            },
            "`samples.point` are indices into `points`. Ask again with `from` = `next_ns` until that is null.",
        ),
        422: REFUSED,
        503: REFUSED,
    },
)
async def export(
    here: Here,
    points: Addresses,
    begin: Annotated[str, Query(alias="from")] = "-1h",
    end: Annotated[str, Query(alias="to")] = "now",
    limit: Annotated[int, Query(ge=1, le=50_000, description="about so many samples a page")] = 20_000,
) -> Response:
    """Raw samples in order of time; samples of one moment are on one page."""
    now_ns = here.clock.now_ns()
    question = ExportQuery(
        points=tuple(points),
        start_ns=parse_time(begin, now_ns=now_ns),
        end_ns=parse_time(end, now_ns=now_ns),
        limit=limit,
    )
    answer = await ask(here.bus, "export", question, ExportAnswer)
    return as_json({"points": points, "samples": answer.samples, "next_ns": answer.next_ns})
