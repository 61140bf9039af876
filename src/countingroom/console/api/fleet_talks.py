"""Talks: commands to actors of the fleet, with their replies."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Response

from countingroom.console.api.devices import Console
from countingroom.console.responses import as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.errors import NotFound
from countingroom.core.fleet.talk import TalkState, talk_key
from countingroom.core.policy import Permission

router = APIRouter(tags=["fleet"])
_VIEW = RoutePermission(action=Permission.VIEW)
ROUTES = {"GET /api/v1/fleet/talks": _VIEW, "GET /api/v1/fleet/talks/{id}": _VIEW}
_TALK: dict[str, Any] = {
    "id": "8c1f0a37d2be4419",
    "command": "expose 2 --dark",
    "by": "anna",
    "time_ns": 1790000000000000000,
    "deadline_s": 60.0,
    "policy": "all",
    "is_over": True,
    "actors": [
        {"node": "gfa1", "service": "camera", "index": 0, "outcome": "done", "took_s": 2.4, "files": ["/data/1.fits"]}
    ],
    "files": ["/data/1.fits"],
    "cause": None,
}
_REPLY: dict[str, Any] = {
    "node": "gfa1",
    "service": "camera",
    "index": 0,
    "code": "i",
    "keywords": {"temperature": -20.5},
    "time_ns": 1790000000000000000,
}


def _shown(state: TalkState) -> dict[str, Any]:
    return {**msgspec.to_builtins(state), "files": list(state.files)}


@router.get("/fleet/talks", summary="Talks that run, and the last ones", responses={200: example({"talks": [_TALK]})})
async def get_talks(console: Console) -> Response:
    """Without their replies, newest first. A talk is begun by the command `talk` of the fleet."""
    found = [one for one in console.latest.words.values() if isinstance(one, TalkState)]
    found.sort(key=lambda one: one.time_ns, reverse=True)
    without: list[dict[str, Any]] = [_shown(msgspec.structs.replace(one, replies=())) for one in found]
    return as_json({"talks": without})


@router.get(
    "/fleet/talks/{id}",
    summary="One talk with its replies",
    responses={200: example({**_TALK, "replies": [_REPLY], "left_out": 0}), **refusals(404)},
)
async def get_talk(id: str, console: Console) -> Response:
    """What each actor said, and how it ended. `id`: that of the command. The last replies are kept, 200 kB of them;
    `left_out` counts those before."""
    state = console.latest.words.get(talk_key(id))
    if not isinstance(state, TalkState):
        raise NotFound(f"there is no talk {id!r}", source="console", suggestion="list them: /api/v1/fleet/talks")
    return as_json(_shown(state))
