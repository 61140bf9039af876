"""The API of the arrays of results: whole in several formats, or reduced to what can be drawn."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.responses import as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.policy import Permission

router = APIRouter(tags=["results"])
ROUTES = {
    name: RoutePermission(action=Permission.VIEW)
    for name in (
        "GET /api/v1/results/{number}/arrays/{name}",
        "GET /api/v1/results/{number}/arrays/{name}/view",
        "GET /api/v1/results/{number}/arrays/{name}/compare/{other}",
    )
}
Kind = Annotated[
    Literal["", "values", "distribution", "map"], Query(description="how it is drawn; empty: as it fits best")
]
Column = Annotated[str, Query(description="empty: the first that fits")]
Bins = Annotated[int, Query(ge=2, le=512)]


@router.get(
    "/results/{number}/arrays/{name}",
    summary="An array of a result",
    dependencies=[HEAVY],
    responses={
        200: {
            "content": {
                "application/vnd.apache.parquet": {},
                "application/vnd.apache.arrow.stream": {},
                "text/csv": {},
                "application/json": {},
            }
        },
        **refusals(404, 422, 429),
    },
)
async def get_array(
    number: int,
    name: str,
    console: Console,
    format: Annotated[Literal["parquet", "arrow", "csv", "json"], Query()] = "parquet",
) -> Response:
    """All its rows. `arrow` is an IPC stream; `json` has the columns as lists."""
    media, content = await console.results.as_format(number, name, format)
    headers = {"Content-Disposition": f'attachment; filename="{_safe(f"{number}-{name}")}.{format}"'}
    return Response(content, media_type=media, headers=headers)


@router.get(
    "/results/{number}/arrays/{name}/view",
    summary="An array reduced to what can be drawn",
    dependencies=[HEAVY],
    responses={
        200: example(
            {
                "kind": "distribution",
                "kinds": ["map", "distribution"],
                "column": "value",
                "columns": ["value"],
                "edges": [3.5, 4.0, 4.5],
                "counts": [2011, 2085],
                "count": 4096,
                "missing": 0,
                "low": 3.5,
                "high": 4.5,
                "mean": 4.01,
                "deviation": 0.2,
            },
            "`values` has `x` and `y`; `map` has `rows`, `columns_of_map` and `values`, row by row, at most 256 x 256.",
        ),
        **refusals(404, 422, 429),
    },
)
async def view_array(
    number: int, name: str, console: Console, kind: Kind = "", column: Column = "", bins: Bins = 64
) -> Response:
    """Its values along an axis, their histogram, or a map. More values than can be drawn are reduced to means."""
    return as_json(await console.results.view(number, name, kind=kind, column=column, bins=bins))


@router.get(
    "/results/{number}/arrays/{name}/compare/{other}",
    summary="An array of two results, drawn together",
    dependencies=[HEAVY],
    responses={
        200: example(
            {
                "kind": "distribution",
                "kinds": ["map", "distribution"],
                "column": "value",
                "columns": ["value"],
                "edges": [3.5, 4.0, 4.5],
                "counts": [2011, 2085],
                "counts_b": [1999, 2097],
                "a": {"count": 4096, "missing": 0, "mean": 4.01},
                "b": {"count": 4096, "missing": 0, "mean": 4.02},
            },
            "A `map` is that of the second result minus that of the first.",
        ),
        **refusals(404, 422, 429),
    },
)
async def compare_array(
    number: int, name: str, other: int, console: Console, kind: Kind = "", column: Column = "", bins: Bins = 64
) -> Response:
    """Histograms with the same bins, two curves, or the difference of two maps of one size."""
    return as_json(await console.results.compare_arrays(number, other, name, kind=kind, column=column, bins=bins))


def _safe(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in name)
