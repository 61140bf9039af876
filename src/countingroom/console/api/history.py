"""The API of the history: series of points. The console asks the history over the bus and keeps no copy."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec import structs

from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.long_work import json_columns
from countingroom.console.query_client import ask
from countingroom.console.responses import example, in_pieces, refusals
from countingroom.core.errors import RequestError
from countingroom.core.plain_text import no_formula
from countingroom.core.series import RangeQuery, RangesQuery, Series, SeriesAnswer, SeriesListAnswer
from countingroom.core.times import format_time, parse_time
from countingroom.core.values import Quality

router = APIRouter(tags=["history"])
_POINTS = 16
"""Most points of one question."""
_SMALL = 5000
"""Rows of a point up to which an answer is no large one."""
_DECODED = 16_000
"""Rows of one answer of the history: decoding more in one step would delay other requests."""


class HistoryFormat(StrEnum):
    """How the answer is written."""

    JSON = "json"
    CSV = "csv"


async def _ask(console: ConsoleContext, question: RangesQuery) -> list[Series]:
    """Ask the history in several queries, so that each answer is decoded in a short step."""
    together = max(1, _DECODED // question.max_points)
    series: list[Series] = []
    for begin in range(0, len(question.points), together):
        match question.points[begin : begin + together]:
            case (point,):
                single = RangeQuery(
                    point=point, start_ns=question.start_ns, end_ns=question.end_ns, max_points=question.max_points
                )
                series.append((await ask(console.bus, "history", "range", single, SeriesAnswer)).series)
            case names:
                part = structs.replace(question, points=names)
                series += (await ask(console.bus, "history", "ranges", part, SeriesListAnswer)).series
    return series


async def _heavy(
    console: Console,
    request: Request,
    max_points: Annotated[int, Query()] = 0,
    format: Annotated[str, Query()] = "",
) -> AsyncGenerator[None]:
    """A place for a large answer. A curve of a page has one row for each of its pixels, and needs none."""
    if format == HistoryFormat.CSV or max_points > _SMALL:
        with console.long_work.place(requester(request).name):
            yield
    else:
        yield


@router.get(
    "/history",
    summary="The past of one point or several",
    dependencies=[Depends(_heavy)],
    responses={
        200: example(
            {
                "point": "chiller.internal_temp",
                "resolution": "raw/4s",
                "bucket_ns": 4000000000,
                "time_ns": [1790000000000000000],
                "mean": [-12.48],
                "low": [-12.51],
                "high": [-12.44],
                "quality": [0],
                "count": [8],
                "text": None,
            },
            'One point: its series. Several (`point` repeated): `{"series": […]}`. A row of quality 3 without values '
            "ends a stretch after which nothing was recorded.",
        ),
        **refusals(422, 503),
    },
)
async def get_history(
    console: Console,
    point: Annotated[list[str], Query(min_length=1, max_length=_POINTS, description="`<device>.<point>`; repeat it")],
    begin: Annotated[str, Query(alias="from", description="ISO 8601, `-1h`, `yesterday`, or since 1970")] = "-1h",
    end: Annotated[str, Query(alias="to")] = "now",
    max_points: Annotated[int, Query(ge=10, le=50_000)] = 2000,
    format: Annotated[HistoryFormat, Query()] = HistoryFormat.JSON,
) -> Response:
    """Reduced to at most `max_points` rows of minimum, mean and maximum, so that no peak is lost."""
    now_ns = console.clock.now_ns()
    start_ns, end_ns = parse_time(begin, now_ns=now_ns), parse_time(end, now_ns=now_ns)
    if start_ns >= end_ns:
        raise RequestError(
            "`from` must be before `to`", source="console", code="invalid", suggestion="give an earlier `from`"
        )
    question = RangesQuery(points=tuple(point), start_ns=start_ns, end_ns=end_ns, max_points=max_points)
    series = await _ask(console, question)
    if format is HistoryFormat.CSV:
        name = "history.csv" if len(point) > 1 else f"{point[0]}.csv"
        safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
        return in_pieces(
            console.long_work,
            csv_rows(series, _units(console, [one.point for one in series])),
            "text/csv; charset=utf-8",
            file_name=safe,
        )
    return in_pieces(console.long_work, _json(series), "application/json")


def _json(series: Sequence[Series]) -> Iterator[bytes]:
    if len(series) == 1:
        yield from json_columns(series[0])
        return
    for number, one in enumerate(series):
        yield b"," if number else b'{"series":['
        yield from json_columns(one)
    yield b"]}"


def _units(console: ConsoleContext, points: Iterable[str]) -> dict[str, str]:
    """Address -> unit, of points that a device has now."""
    catalogues = console.latest.catalogues
    devices = {name.partition(".")[0] for name in points}
    return {
        f"{device}.{one.name}": one.unit for device in devices & catalogues.keys() for one in catalogues[device].points
    }


def csv_rows(series: Iterable[Series], units: Mapping[str, str]) -> Iterator[bytes]:
    """The header, then one row a sample or bucket, with its point and unit; empty cells where there is no value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")

    def row(*cells: object) -> bytes:
        writer.writerow(cells)
        text = out.getvalue()
        out.seek(0)
        out.truncate()
        return text.encode()

    yield row("point", "time", "mean", "low", "high", "quality", "count", "text", "unit")
    for one in series:
        unit = units.get(one.point, "")
        texts = one.text or [None] * len(one.time_ns)
        columns = zip(one.time_ns, one.mean, one.low, one.high, one.quality, one.count, texts, strict=True)
        for time_ns, mean, low, high, quality, count, text in columns:
            name = Quality(quality).name
            yield row(one.point, format_time(time_ns), mean, low, high, name, count, harmless(text), unit)


def harmless(text: str | None) -> str | None:
    """A device's text that a spreadsheet cannot take for a formula."""
    return no_formula(text) if text else text
