"""The API of the run book: runs newest first, by filter. Comments and judgements are commands of the partition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec import structs

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.auth.requester import requester
from countingroom.console.long_work import json_list
from countingroom.console.responses import REFUSED, as_json, example, in_pieces
from countingroom.core.run_book import RunFilter
from countingroom.core.times import parse_time
from countingroom.storage.run_export import export

router = APIRouter(tags=["runs"])
_MOST = 100_000
"""Runs in one answer."""
_SMALL = 100
"""Runs in an answer that needs no place among the large ones: the default limit, and the most that a page asks for."""
_RUN: dict[str, Any] = {
    "number": 48213,
    "partition": "mCBM",
    "template": "cbm",
    "requested_by": "m.rossi",
    "asked_ns": 1790000000000000000,
    "started_ns": 1790000001200000000,
    "ended_ns": None,
    "end": None,
    "tag": "physics",
    "members": ["TFC", "STS", "FLES", "QA"],
    "quality": "",
    "flags": [{"flag": "degraded", "what": "STS is excluded", "since_ns": 1790000061200000000, "subject": "STS"}],
    "notes": [],
    "counters": {},
}


def chosen(
    console: Console,
    partition: str = "",
    begin: Annotated[str, Query(alias="from", description="asked for then or later: ISO 8601, -1d, yesterday")] = "",
    end: Annotated[str, Query(alias="to")] = "",
    text: Annotated[str, Query(description="in tag, person, member, note or sequence")] = "",
    quality: Annotated[str | None, Query(description="empty: not judged")] = None,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    flag: Annotated[
        Literal["degraded", "interrupted", "incomplete", "any", ""] | None,
        Query(description="given by run control; empty: without one"),
    ] = None,
    sequence: str = "",
    before: Annotated[int | None, Query(ge=1, description="numbers lower than this")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
) -> RunFilter:
    """The filter from the query of the address."""
    now_ns = console.clock.now_ns()
    return RunFilter(
        partition=partition,
        from_ns=parse_time(begin, now_ns=now_ns) if begin else None,
        to_ns=parse_time(end, now_ns=now_ns) if end else None,
        text=text,
        quality=quality,
        open=is_open,
        flag=flag,
        sequence=sequence,
        before=before,
        limit=limit,
    )


Chosen = Annotated[RunFilter, Depends(chosen)]


async def _heavy(console: Console, request: Request, wanted: Chosen) -> AsyncGenerator[None]:
    """A place for a large answer. Pages ask for few runs, behind each chart and for each word that is searched. While
    they took places too, a user with several pages open was refused by a busy console."""
    if wanted.limit > _SMALL:
        with console.long_work.place(requester(request).name):
            yield
    else:
        yield


@router.get(
    "/runs",
    summary="Runs, newest first",
    dependencies=[Depends(_heavy)],
    responses={200: example({"runs": [_RUN]}), 422: REFUSED, 429: REFUSED},
)
async def list_runs(console: Console, wanted: Chosen) -> Response:
    """To read on, give `before` the last number of the answer."""
    async with console.long_work.reading:
        found = await console.records.runs.find(wanted)
    return in_pieces(console.long_work, json_list("runs", found), "application/json")


@router.get(
    "/runs/export",
    summary="The same runs as a file",
    dependencies=[HEAVY],
    responses={200: {"content": {"text/csv": {}, "application/json": {}, "application/vnd.apache.parquet": {}}}},
)
async def export_runs(
    console: Console,
    wanted: Chosen,
    format: Annotated[str, Query()] = "csv",
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _MOST,
) -> Response:
    """`csv`, `json` or `parquet`: one row a run, with all its values. Without a limit, all runs that match."""
    async with console.long_work.reading:
        found = await console.records.runs.find(structs.replace(wanted, limit=limit))
    media, pieces = await asyncio.to_thread(export, found, format)  # for Parquet a library is imported
    suffix = media.partition(";")[0].rpartition("/")[2].rpartition(".")[2]
    return in_pieces(console.long_work, pieces, media, file_name=f"runs.{suffix}")


@router.get("/runs/{number}", summary="One run", responses={200: example(_RUN), 404: REFUSED})
async def get_run(number: int, console: Console) -> Response:
    """With the configurations it had, its notes, and its counters."""
    return as_json(await console.records.runs.get(number))
