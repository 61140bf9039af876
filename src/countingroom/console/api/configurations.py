"""Law: configurations and tags are read from the database as they are and as they were; they change by commands."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from countingroom.console.api.devices import Here
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core.configurations import compare
from countingroom.storage.exchange import to_yaml

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
    responses={200: example({"configurations": [_CONFIGURATION]})},
)
async def list_configurations(here: Here, system: Annotated[str, Query()] = "") -> Response:
    """Of one system, or of all."""
    return as_json({"configurations": await here.records.configurations.list(system)})


@router.get(
    "/configurations/export",
    summary="All configurations, tags and schemas as YAML",
    responses={
        200: {"content": {"application/yaml": {"example": "configurations:\n  STS:\n    physics: {threshold: 42}\n"}}}
    },
)
async def export(here: Here) -> Response:
    """What `import` takes."""
    text = to_yaml(await here.records.configurations.export())
    headers = {"Content-Disposition": 'attachment; filename="configurations.yaml"'}
    return Response(text, media_type="application/yaml", headers=headers)


@router.get(
    "/configurations/{system}/history",
    summary="Every change of a system's configurations, newest first",
    responses={200: example({"history": [_CONFIGURATION]})},
)
async def configuration_history(
    system: str,
    here: Here,
    tag: Annotated[str, Query()] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """A revision that is `deleted` says that it was taken away."""
    return as_json({"history": await here.records.configurations.history(system, tag, limit=limit)})


@router.get(
    "/configurations/{system}/{tag}",
    summary="One configuration",
    responses={200: example(_CONFIGURATION), 404: REFUSED},
)
async def get_configuration(
    system: str, tag: str, here: Here, revision: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """As it is, or as it was at a revision."""
    return as_json(await here.records.configurations.get(system, tag, revision))


@router.get("/tags", summary="Global tags as they are", responses={200: example({"tags": [_TAG]})})
async def list_tags(here: Here) -> Response:
    """A global tag names one configuration for each of its systems. `/partitions/{partition}/tags`: those that fit."""
    return as_json({"tags": await here.records.tags.list()})


@router.get(
    "/tags/compare",
    summary="How two tags differ",
    responses={200: example({"changes": [_CHANGE]}), 404: REFUSED},
)
async def compare_tags(here: Here, before: Annotated[str, Query()], after: Annotated[str, Query()]) -> Response:
    """System by system, parameter by parameter; what is equal is left out."""
    tags = here.records.tags
    return as_json({"changes": compare(await tags.resolve(before), await tags.resolve(after))})


@router.get("/tags/{name}", summary="One tag", responses={200: example(_TAG), 404: REFUSED})
async def get_tag(name: str, here: Here, revision: Annotated[int | None, Query(ge=1)] = None) -> Response:
    """As it is, or as it was at a revision."""
    return as_json(await here.records.tags.get(name, revision))


@router.get("/tags/{name}/history", summary="Every change of a tag", responses={200: example({"history": [_TAG]})})
async def tag_history(name: str, here: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """Newest first."""
    return as_json({"history": await here.records.tags.history(name, limit=limit)})
