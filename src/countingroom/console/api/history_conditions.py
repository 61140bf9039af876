"""The API of conditions: points as of given times, over intervals, or over a run."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

from fastapi import APIRouter, Query, Response

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.context import ConsoleContext
from countingroom.console.query_client import ask
from countingroom.console.responses import as_json, example, refusals
from countingroom.core.errors import NotFound, RequestError
from countingroom.core.history_conditions import AsOfAnswer, ConditionsQuery, IntervalsAnswer
from countingroom.core.series import PointsAnswer, PointsQuery
from countingroom.core.times import parse_time
from countingroom.core.values import Quality

router = APIRouter(tags=["history"])
_MOST = 1000
"""Most values of a repeated parameter."""
_WILD = "*?["
_PATTERNS = 20
"""Most patterns of a request: each is compared with every point, and the console does nothing else meanwhile."""

Times = Annotated[list[str] | None, Query(max_length=_MOST)]


@router.get(
    "/history/conditions",
    summary="The values of points at times, over intervals, over a run or a result",
    dependencies=[HEAVY],
    responses={
        200: example(
            {
                "begin_ns": [1790000000000000000],
                "end_ns": [],
                "points": [
                    {"point": "caen.0.hv_vMon", "value": [399.8], "quality": [0], "age_ns": [210000000]},
                ],
            },
            "With intervals each point has `count`, `low`, `high`, `mean`, `weighted` and `good` in place of these.",
        ),
        **refusals(404, 409, 422, 503),
    },
)
async def get_conditions(
    console: Console,
    points: Annotated[
        list[str], Query(alias="point", min_length=1, max_length=_MOST, description="addresses, or patterns with `*`")
    ],
    at: Times = None,
    begin: Annotated[list[str] | None, Query(alias="from", max_length=_MOST)] = None,
    end: Annotated[list[str] | None, Query(alias="to", max_length=_MOST)] = None,
    run: Annotated[int | None, Query(ge=1, description="from its start to its end, or to now")] = None,
    result: Annotated[int | None, Query(ge=1, description="from its start to its end, or to now")] = None,
    tolerance: Annotated[float, Query(ge=0, le=1e9, description="a sample holds at most so many seconds")] = 125.0,
    worst: Annotated[Quality, Query(description="`at`: leave out values of a worse quality")] = Quality.BAD,
) -> Response:
    """Give `at` (repeated) for the values that held then, `from` and `to` (as often) for statistics of intervals, `run`
    or `result`. At most 100,000 times multiplied by points, and 20 patterns."""
    now_ns = console.clock.now_ns()
    if sum(one is not None for one in (at, begin, run, result)) != 1 or (begin is None) != (end is None):
        raise RequestError("give `at`, `from` with `to`, `run` or `result`", source="console", code="invalid")
    begins = [parse_time(one, now_ns=now_ns) for one in at or begin or ()]
    ends = [parse_time(one, now_ns=now_ns) for one in end or ()]
    if run is not None:
        found = await console.records.runs.get(run)
        if found.started_ns is None:
            raise NotFound(f"run {run} has not started", source="console", suggestion="give a run that has a start")
        begins, ends = [found.started_ns], [found.ended_ns or now_ns]
    if result is not None:
        one = await console.results.store.get(result)
        begins, ends = [one.started_ns], [one.ended_ns or now_ns]
    question = ConditionsQuery(
        points=await _addresses(console, points),
        begin_ns=begins,
        end_ns=ends,
        tolerance_ns=round(tolerance * 1e9),
        worst=int(worst),
    )
    kind = IntervalsAnswer if ends else AsOfAnswer
    answer = await ask(console.bus, "history", "conditions", question, kind)
    return as_json({"begin_ns": begins, "end_ns": ends, "points": answer.points})


async def _addresses(console: ConsoleContext, patterns: list[str]) -> tuple[str, ...]:
    """The recorded points that are meant, each once; NotFound where a pattern or an address has none."""
    patterns = list(dict.fromkeys(patterns))
    if sum(_is_wild(pattern) for pattern in patterns) > _PATTERNS:
        raise RequestError(
            f"a request has at most {_PATTERNS} patterns",
            source="console",
            code="out_of_range",
            suggestion="give addresses, or patterns that mean more points each",
        )
    known = (await ask(console.bus, "history", "points", PointsQuery(), PointsAnswer)).points
    known_all, found = set(known), dict[str, None]()
    for pattern in patterns:
        meant = [name for name in known if fnmatchcase(name, pattern)] if _is_wild(pattern) else [pattern]
        if not meant or not known_all.issuperset(meant):
            raise NotFound(
                f"there is no history of {pattern}",
                source="history",
                suggestion="look up the points that have one: countingroom history points",
            )
        found |= dict.fromkeys(meant)
    return tuple(found)


def _is_wild(pattern: str) -> bool:
    return any(letter in pattern for letter in _WILD)
