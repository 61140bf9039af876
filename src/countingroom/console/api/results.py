"""The API of results: programs with their commands, results with documents and log, results from elsewhere."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.responses import COMMAND_ANSWERS, REFUSED, as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core import command_permissions
from countingroom.core.commands.results import RESULTS
from countingroom.core.commands.row import reference
from countingroom.core.errors import Cause, NotFound, OutOfRange
from countingroom.core.policy import Permission
from countingroom.core.result_differences import DocumentDifferences, facts, listed
from countingroom.core.results import (
    FACTS_BYTES,
    LOG_BYTES,
    DeliveredResult,
    NewResult,
    ProgramState,
    ResultEnd,
    ResultFilter,
    ResultState,
    StoredResult,
    program_key,
)
from countingroom.core.subjects import is_token
from countingroom.core.times import parse_time

router = APIRouter(tags=["results"])
_MOST = 1000


def _program_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    state = _state(console, parameters["program"])
    return command_permissions.of_program(parameters["command"], state.role if state else "")


_VIEW = RoutePermission(action=Permission.VIEW)
ROUTES = {
    "GET /results": _VIEW,
    "GET /results/compare": _VIEW,
    "GET /results/{number}": _VIEW,
    "GET /api/v1/results": _VIEW,
    "POST /api/v1/results": RoutePermission(action=Permission.OPERATE),
    "GET /api/v1/results/compare": _VIEW,
    "GET /api/v1/results/programs": _VIEW,
    "POST /api/v1/results/programs/{program}/commands/{command}": RoutePermission(by=_program_command),
    "GET /api/v1/results/{number}": _VIEW,
    "GET /api/v1/results/{number}/documents/{name}": _VIEW,
    "GET /api/v1/results/{number}/log": _VIEW,
}
_RESULT: dict[str, Any] = {
    "number": 12,
    "program": "threshold_scan",
    "title": "Threshold scan",
    "by": "m.rossi",
    "comment": "after the new bias",
    "state": "completed",
    "started_ns": 1790000000000000000,
    "ended_ns": 1790000042000000000,
    "is_added": False,
    "versions": {"countingroom": "1.0", "threshold_scan": "1.2"},
    "configuration": {"command": ["{python}", "threshold_scan.py"], "parameters": {"steps": 40}},
    "counters": {"pixels": 4096},
    "documents": [{"name": "summary", "bytes": 812}],
    "arrays": [
        {
            "name": "noise",
            "columns": [{"name": "value", "type": "double"}],
            "rows": 4096,
            "shape": [64, 64],
            "bytes": 30211,
        }
    ],
    "log_bytes": 1830,
    "problems": [],
    "cause": None,
    "place": "files",
}
_PROGRAM: dict[str, Any] = {
    "program": "threshold_scan",
    "title": "Threshold scan",
    "role": "shifter",
    "parameters": {"steps": 40},
    "result": 13,
    "progress": 0.4,
    "comment": "step 16 of 40",
    "said": "",
    "last": 12,
    "last_state": "completed",
}


class AddedDocument(BaseModel):
    """A document of a result."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: Annotated[StrictStr, Field(min_length=1, max_length=100)]
    content: Any
    """Any JSON."""


class AddedArray(BaseModel):
    """An array of a result."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: Annotated[StrictStr, Field(min_length=1, max_length=100)]
    format: Literal["arrow", "parquet", "npy", "csv"] = "arrow"
    """`arrow`: an Arrow IPC stream or file."""
    data: StrictStr
    """The content in base64."""


class AddedResult(BaseModel):
    """A result of a program that was not started here."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    program: Annotated[StrictStr, Field(min_length=1, max_length=100)]
    title: Annotated[StrictStr, Field(max_length=200)] = ""
    comment: Annotated[StrictStr, Field(max_length=2000)] = ""
    started: Annotated[StrictStr, Field(max_length=100)] = ""
    """ISO 8601 with its zone, or as in queries of the history; empty: now."""
    ended: Annotated[StrictStr, Field(max_length=100)] = ""
    """Empty: as it started."""
    state: Literal["completed", "stopped", "failed", "interrupted"] = "completed"
    reason: Annotated[StrictStr, Field(max_length=1000)] = ""
    """Why it is not complete."""
    versions: dict[str, StrictStr] = {}
    configuration: dict[str, Any] = {}
    documents: Annotated[list[AddedDocument], Field(max_length=500)] = []
    arrays: Annotated[list[AddedArray], Field(max_length=500)] = []
    log: Annotated[StrictStr, Field(max_length=LOG_BYTES)] = ""


def chosen(
    console: Console,
    program: str = "",
    state: Literal["", "running", "completed", "stopped", "failed", "interrupted"] = "",
    begin: Annotated[str, Query(alias="from", description="started then or later: ISO 8601, -1d, yesterday")] = "",
    end: Annotated[str, Query(alias="to")] = "",
    text: Annotated[str, Query(description="in program, title, comment or user")] = "",
    before: Annotated[int | None, Query(ge=1, description="numbers lower than this")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
) -> ResultFilter:
    """The filter from the query of the address."""
    now_ns = console.clock.now_ns()
    return ResultFilter(
        program=program,
        state=state,
        from_ns=parse_time(begin, now_ns=now_ns) if begin else None,
        to_ns=parse_time(end, now_ns=now_ns) if end else None,
        text=text,
        before=before,
        limit=limit,
    )


Chosen = Annotated[ResultFilter, Depends(chosen)]
Number = Annotated[int, Query(ge=1, lt=2**63)]


@router.get("/results", summary="Results, newest first", responses={200: example({"results": [_RESULT]}), 422: REFUSED})
async def list_results(console: Console, wanted: Chosen) -> Response:
    """To read on, give `before` the last number of the answer."""
    return as_json({"results": await console.results.store.find(wanted)})


@router.post(
    "/results",
    summary="Add a result from elsewhere",
    dependencies=[HEAVY],
    responses={201: example(_RESULT), **refusals(422, 429, 503)},
    status_code=201,
)
async def add_result(console: Console, request: Request, body: AddedResult) -> Response:
    """Documents as JSON and arrays in base64; at most 32 MiB. It is kept as a whole or not at all."""
    delivered = await asyncio.to_thread(_delivered, body, requester(request).name, console.clock.now_ns())
    return as_json(await console.results.deliver(delivered), 201)


@router.get(
    "/results/programs",
    summary="The programs that can be started",
    responses={200: example({"programs": [_PROGRAM]}, "`result`: of the running program, 0: it does not run.")},
)
async def list_programs(console: Console) -> Response:
    """With their progress, as they say it."""
    return as_json({"programs": all_programs(console)})


@router.post(
    "/results/programs/{program}/commands/{command}",
    summary="Start or stop a program",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(RESULTS.values())}",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_program(
    program: str, command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """The outcome of `start` has the number of the `result` in its data."""
    if _state(console, program) is None:
        raise NotFound(
            f"there is no program {program!r}", source="console", suggestion="list them: countingroom results programs"
        )
    return await carry(console, request, "results", program, command, order)


@router.get(
    "/results/compare",
    summary="How the documents, versions and configurations of two results differ",
    dependencies=[HEAVY],
    responses={
        200: example(
            {
                "a": _RESULT,
                "b": {**_RESULT, "number": 13},
                "documents": [
                    {
                        "name": "summary",
                        "only": "",
                        "count": 1,
                        "differences": [{"path": "noise.mean", "before": 4.1, "after": 4.3, "only": ""}],
                    }
                ],
                "arrays": [{"name": "noise", "only": ""}],
            },
            "`facts` and `configuration` come first among the documents. `only`: `a` or `b` where the other has none.",
        ),
        **refusals(404, 429),
    },
)
async def compare_results(console: Console, a: Number, b: Number) -> Response:
    """Keys of documents, at most 1,000 for each document."""
    one, other, documents, arrays = await compared(console, a, b)
    return as_json({"a": one, "b": other, "documents": documents, "arrays": arrays})


@router.get("/results/{number}", summary="One result", responses={200: example(_RESULT), 404: REFUSED})
async def get_result(number: int, console: Console) -> Response:
    """Its times, versions, configuration, and which documents and arrays it has."""
    return as_json(await console.results.store.get(number))


@router.get(
    "/results/{number}/documents/{name}",
    summary="A document of a result",
    responses={200: example({"noise": {"mean": 4.1}}), 404: REFUSED},
)
async def get_document(number: int, name: str, console: Console) -> Response:
    """As the program wrote it."""
    return Response(await console.results.store.document(number, name), media_type="application/json")


@router.get(
    "/results/{number}/log",
    summary="The log of a result",
    responses={200: {"content": {"text/plain": {}}}, 404: REFUSED},
)
async def get_log(
    number: int,
    console: Console,
    start: Annotated[int, Query(ge=0, le=LOG_BYTES * 2, description="from this byte on")] = 0,
    most: Annotated[int, Query(ge=1, le=LOG_BYTES * 2)] = LOG_BYTES * 2,
) -> Response:
    """What the program wrote to its output, also while it runs."""
    log = await console.results.store.log(number, start, most)
    return Response(log, media_type="text/plain; charset=utf-8")


def all_programs(console: ConsoleContext) -> list[ProgramState]:
    """The published programs by name."""
    words = console.latest.words
    return [one for key in sorted(words) if isinstance(one := words[key], ProgramState)]


async def compared(
    console: ConsoleContext, a: int, b: int
) -> tuple[StoredResult, StoredResult, list[DocumentDifferences], list[dict[str, str]]]:
    """The two results, the differences of their documents, and their arrays."""
    store = console.results.store
    one, other = await store.get(a), await store.get(b)
    found = [
        listed("facts", facts(one), facts(other)),
        listed("configuration", one.configuration, other.configuration),
    ]
    names = [[each.name for each in of.documents] for of in (one, other)]
    for name in dict.fromkeys([*names[0], *names[1]]):
        if only := _only(name, *names):
            found.append(DocumentDifferences(name=name, only=only))
            continue
        contents = [await store.document(number, name) for number in (a, b)]
        found.append(await asyncio.to_thread(_differences, name, contents))
    arrays = [[each.name for each in of.arrays] for of in (one, other)]
    return (
        one,
        other,
        found,
        [{"name": name, "only": _only(name, *arrays)} for name in dict.fromkeys([*arrays[0], *arrays[1]])],
    )


def _differences(name: str, contents: list[bytes]) -> DocumentDifferences:
    return listed(name, *map(msgspec.json.decode, contents))


def _only(name: str, first: list[str], second: list[str]) -> str:
    return "b" if name not in first else "a" if name not in second else ""


def _state(console: ConsoleContext, program: str) -> ProgramState | None:
    found = console.latest.words.get(program_key(program)) if is_token(program) else None
    return found if isinstance(found, ProgramState) else None


def _delivered(body: AddedResult, by: str, now_ns: int) -> DeliveredResult:
    if not is_token(body.program):
        raise OutOfRange(
            f"{body.program!r} is no name of a program",
            source="console",
            suggestion="use letters, digits, _ and - only, and write the rest into `title`",
        )
    started_ns = parse_time(body.started, now_ns=now_ns) if body.started else now_ns
    ended_ns = parse_time(body.ended, now_ns=now_ns) if body.ended else started_ns
    if ended_ns < started_ns:
        raise OutOfRange("it ended before it started", source="console", suggestion="correct `started` or `ended`")
    said = len(msgspec.json.encode([body.versions, body.configuration]))
    if said > FACTS_BYTES:
        raise OutOfRange(
            f"versions and configuration have {said:,} bytes; the most is {FACTS_BYTES:,}",
            source="console",
            suggestion="give what is longer as a document",
        )
    documents: dict[str, bytes] = {}
    for one in body.documents:
        if one.name in documents:
            raise OutOfRange(f"there are two documents with the name {one.name}", source="console")
        documents[one.name] = msgspec.json.encode(one.content)
    state = ResultState(body.state)
    reason = body.reason or ("" if state is ResultState.COMPLETED else "no reason was given")
    return DeliveredResult(
        new=NewResult(
            program=body.program,
            title=body.title or body.program,
            by=by,
            started_ns=started_ns,
            comment=body.comment,
            is_added=True,
            versions=dict(body.versions),
            configuration=dict(body.configuration),
        ),
        end=ResultEnd(
            state=state,
            ended_ns=ended_ns,
            cause=_reason(body.program, state, reason) if reason else None,
        ),
        documents=documents,
        arrays=[(one.name, one.format, _decoded(one)) for one in body.arrays],
        log=body.log.encode(),
    )


def _reason(program: str, state: ResultState, reason: str) -> Cause:
    return Cause(
        code=state.value, message=reason, source=f"results.{program}", suggestion="ask the user who added the result"
    )


def _decoded(array: AddedArray) -> bytes:
    try:
        return base64.b64decode(array.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise OutOfRange(
            f"the array {array.name} is not in base64: {error}", source="console", suggestion="encode its bytes"
        ) from error
