"""The API of the mirror: how its feed to the outside stands."""

from __future__ import annotations

from fastapi import APIRouter, Response

from countingroom.console.api.devices import Console
from countingroom.console.responses import as_json, example
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.mirror.states import FEED_KEY, FeedState
from countingroom.core.policy import Permission

router = APIRouter(tags=["mirror"])
ROUTES = {"GET /api/v1/mirror": RoutePermission(action=Permission.VIEW)}
MIRROR_ROLE = "mirror"


@router.get(
    "/mirror",
    summary="The feed to the outside",
    responses={
        200: example(
            {
                "running": True,
                "contact_s": 2.5,
                "waiting_s": None,
                "feed": {
                    "to": "https://mirror.example.org:8443",
                    "sequence": 1790000000012345,
                    "sent": 1790000000012345,
                    "waiting": 0,
                    "waiting_since_ns": 0,
                    "contact_ns": 1790000000000000000,
                    "cause": None,
                    "outbox_bytes": 73400320,
                    "outbox_most_bytes": 1073741824,
                    "dropped": 0,
                    "held": 0,
                    "canaries": 0,
                },
            },
            "`contact_s`: since the outside last answered; `waiting_s`: since the oldest record waits. `feed` is null"
            " where nothing is fed. `running`: whether the role sends heartbeats; where it does not, the state is its"
            " last.",
        )
    },
)
async def get_mirror(console: Console) -> Response:
    """What waits, when the outside last answered, what was dropped and held back."""
    running = any(one.role == MIRROR_ROLE for one in console.latest.roster.present())
    feed = console.latest.words.get(FEED_KEY)
    if not isinstance(feed, FeedState):
        return as_json({"running": running, "contact_s": None, "waiting_s": None, "feed": None})
    now_ns = console.clock.now_ns()
    contact_s = max(0.0, (now_ns - feed.contact_ns) / 1e9) if feed.contact_ns else None
    waiting_s = max(0.0, (now_ns - feed.waiting_since_ns) / 1e9) if feed.waiting_since_ns else None
    return as_json({"running": running, "contact_s": contact_s, "waiting_s": waiting_s, "feed": feed})
