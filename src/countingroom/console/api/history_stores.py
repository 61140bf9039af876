"""The API of the further stores of the history: how each of them stands."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Response

from countingroom.console.api.devices import Console
from countingroom.console.context import ConsoleContext
from countingroom.console.responses import as_json, example
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.history_stores import HistoryStoreState
from countingroom.core.policy import Permission

router = APIRouter(tags=["history"])
ROUTES = {"GET /api/v1/history/stores": RoutePermission(action=Permission.VIEW)}
HISTORY_ROLE = "history"


def shown_stores(console: ConsoleContext) -> list[dict[str, Any]]:
    """The published states in order of their names, each with its lag in seconds and whether people should know."""
    now_ns = console.clock.now_ns()
    states = [one for one in console.latest.words.values() if isinstance(one, HistoryStoreState)]
    return [
        {**msgspec.to_builtins(one), "lag_s": round(one.lag_s(now_ns), 1), "late": one.is_late(now_ns)}
        for one in sorted(states, key=lambda one: one.store)
    ]


@router.get(
    "/history/stores",
    summary="The further stores of the history",
    responses={
        200: example(
            {
                "running": True,
                "stores": [
                    {
                        "store": "site_pg",
                        "kind": "postgresql",
                        "health": "failing",
                        "since_ns": 1790000000000000000,
                        "problem": "PostgreSQL at db:5432/lab cannot be used: connection refused",
                        "sequence": 81230,
                        "lag_s": 12.5,
                        "behind_messages": 25,
                        "behind_values": 25000,
                        "late": False,
                    }
                ],
            },
            "`health`: starting, following, catching_up or failing. `behind_values` is an estimate. `running`: whether "
            "the history sends heartbeats; where it does not, the states are its last.",
        )
    },
)
async def list_history_stores(console: Console) -> Response:
    """Health, position and how far behind each of them is. The default store is none of them."""
    running = any(one.role == HISTORY_ROLE for one in console.latest.roster.present())
    return as_json({"running": running, "stores": shown_stores(console)})
