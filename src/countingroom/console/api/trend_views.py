"""The API of saved views of trends: points, axes and range under a name, for every user of the experiment."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from countingroom.console.api.devices import Console
from countingroom.console.api.login import Body
from countingroom.console.auth.requester import requester
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core.policy import Permission, decide
from countingroom.core.subjects import EXPERIMENT

router = APIRouter(tags=["history"])
_VIEW = {
    "name": "Cooling, last night",
    "query": "point=co2.TT05_CO2&point=co2.PT01_CO2&span=43200",
    "owner": "anna",
    "created_ns": 1790000000000000000,
    "changed_by": "anna",
    "changed_ns": 1790000000000000000,
    "revision": 1,
}


class SaveView(Body):
    """What a view holds."""

    query: Annotated[str, Field(max_length=4001)]
    """As in the address of the page of trends, without the question mark: `point=caen.0.hv_vMon&span=3600`."""
    expected: int | None = None
    """The revision that is overwritten; null: it is a new view."""


@router.get("/views", summary="Saved views of trends", responses={200: example({"views": [_VIEW]})})
async def list_views(console: Console) -> Response:
    """Every view of the experiment, by name. `/trends?view=NAME` opens one."""
    return as_json({"views": await console.records.trend_views.list()})


@router.get("/views/{view}", summary="One saved view", responses={200: example(_VIEW), 404: REFUSED})
async def get_view(view: str, console: Console) -> Response:
    """With its owner and revision."""
    return as_json(await console.records.trend_views.get(view))


@router.post(
    "/views/{view}/save_view",
    summary="Save a view, or overwrite one's own",
    responses={200: example(_VIEW), 403: REFUSED, 409: REFUSED, 422: REFUSED},
)
async def save_view(view: str, console: Console, request: Request, body: SaveView) -> Response:
    """403 where it belongs to another user and the requester does not administer; 409 where the name is taken or the
    revision is no longer the expected one."""
    who = requester(request)
    saved = await console.records.trend_views.save(
        view, body.query, who.name, expected=body.expected, administers=_administers(console, request)
    )
    return as_json(saved)


@router.post(
    "/views/{view}/delete_view",
    summary="Delete a view of one's own",
    responses={200: example(_VIEW), 403: REFUSED, 404: REFUSED},
)
async def delete_view(view: str, console: Console, request: Request) -> Response:
    """Answers the view as it was. 403 where it belongs to another user and the requester does not administer."""
    who = requester(request)
    return as_json(await console.records.trend_views.delete(view, who.name, administers=_administers(console, request)))


def _administers(console: Console, request: Request) -> bool:
    principal = requester(request).principal
    return decide(principal, Permission.ADMINISTER, EXPERIMENT, now_ns=console.clock.now_ns()) is None
