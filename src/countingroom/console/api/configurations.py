"""The API of configurations and tags, read from the database. They are changed by commands of the experiment."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from countingroom.console.api.devices import Console
from countingroom.console.api.heavy import HEAVY
from countingroom.console.long_work import json_list
from countingroom.console.responses import REFUSED, as_json, example, in_pieces
from countingroom.core.configurations import compare
from countingroom.storage.exchange import yaml_pieces

router = APIRouter(tags=["configurations"])
_CONFIGURATION = {
    "system": "STS",
    "tag": "physics",
    "revision": 3,
    "parameters": {"threshold": 42},
    "saved_by": "m.rossi",
    "saved_ns": 1790000000000000000,
    "comment": "after the threshold scan",
}
_TAG = {"name": "physics", "revision": 4, "systems": {"TFC": "default", "STS": "physics"}, "saved_by": "m.rossi"}
_CHANGE = {
    "system": "STS",
    "before": "default",
    "after": "physics",
    "parameters": [{"name": "threshold", "before": 40, "after": 42}],
}


@router.get(
    "/configurations",
    summary="Configurations as they are",
    dependencies=[HEAVY],
    responses={200: example({"configurations": [_CONFIGURATION]})},
)
async def list_configurations(console: Console, system: Annotated[str, Query()] = "") -> Response:
    """Of one system, or of all."""
    async with console.long_work.reading:
        found = await console.records.configurations.list(system)
    return in_pieces(console.long_work, json_list("configurations", found), "application/json")


@router.get(
    "/configurations/export",
    summary="All configurations, tags and schemas as YAML",
    dependencies=[HEAVY],
    responses={
        200: {"content": {"application/yaml": {"example": "configurations:\n  STS:\n    physics: {threshold: 42}\n"}}},
        429: REFUSED,
    },
)
async def export(console: Console) -> Response:
    """What `import` takes."""
    async with console.long_work.reading:
        kept = await console.records.configurations.export()
    pieces = (piece.encode() for piece in yaml_pieces(kept))
    return in_pieces(console.long_work, pieces, "application/yaml", file_name="configurations.yaml")


@router.get(
    "/configurations/{system}/history",
    summary="Every change of a system's configurations, newest first",
    responses={200: example({"history": [_CONFIGURATION]})},
)
async def configuration_history(
    system: str,
    console: Console,
    tag: Annotated[str, Query()] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """`deleted` marks the revision of a deletion."""
    return as_json({"history": await console.records.configurations.history(system, tag, limit=limit)})


@router.get(
    "/configurations/{system}/{tag}",
    summary="One configuration",
    responses={200: example(_CONFIGURATION), 404: REFUSED},
)
async def get_configuration(
    system: str, tag: str, console: Console, revision: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """As it is, or as it was at a revision."""
    return as_json(await console.records.configurations.get(system, tag, revision))


@router.get("/tags", summary="Global tags as they are", responses={200: example({"tags": [_TAG]})})
async def list_tags(console: Console) -> Response:
    """A global tag names one configuration for each of its systems. `/partitions/{partition}/tags`: those that fit."""
    return as_json({"tags": await console.records.tags.list()})


@router.get(
    "/tags/compare",
    summary="How two tags differ",
    responses={200: example({"changes": [_CHANGE]}), 404: REFUSED},
)
async def compare_tags(console: Console, before: Annotated[str, Query()], after: Annotated[str, Query()]) -> Response:
    """System by system, parameter by parameter; what is equal is left out."""
    tags = console.records.tags
    return as_json({"changes": compare(await tags.resolve(before), await tags.resolve(after))})


@router.get("/tags/{name}", summary="One tag", responses={200: example(_TAG), 404: REFUSED})
async def get_tag(name: str, console: Console, revision: Annotated[int | None, Query(ge=1)] = None) -> Response:
    """As it is, or as it was at a revision."""
    return as_json(await console.records.tags.get(name, revision))


@router.get("/tags/{name}/history", summary="Every change of a tag", responses={200: example({"history": [_TAG]})})
async def tag_history(name: str, console: Console, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """Newest first."""
    return as_json({"history": await console.records.tags.history(name, limit=limit)})
