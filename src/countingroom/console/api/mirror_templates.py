"""The API of templates of log lines: those that wait for a decision, what was decided, and the commands that decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from countingroom.console.api.commands import CommandBody, carry, check_command
from countingroom.console.api.devices import Console
from countingroom.console.context import ConsoleContext
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core import command_permissions
from countingroom.core.commands.mirror import MIRROR, TARGET
from countingroom.core.commands.row import reference
from countingroom.core.mirror.template_queries import MOST_SHOWN, QUERY, TemplatesAnswer, TemplatesQuery
from countingroom.core.policy import Permission

router = APIRouter(tags=["mirror"])


def _of_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_mirror(parameters["command"])


ROUTES = {
    # The page shows what the API gives.
    "GET /log-lines": RoutePermission(action=Permission.CONFIGURE),
    "GET /api/v1/mirror/templates": RoutePermission(action=Permission.CONFIGURE),
    "POST /api/v1/mirror/templates/commands/{command}": RoutePermission(by=_of_command),
}
DEPARTMENT = "mirror"
_WAITING: dict[str, Any] = {
    "id": "5f0c1d2e3a4b",
    "template": "run <int> begins on <host>",
    "mark": "0f1e2d3c4b5a6978",
    "lines": 1204,
    "logs": 12,
    "first_ns": 1790000000000000000,
    "last_ns": 1790000600000000000,
    "example": [["", "run"], ["", " "], ["int", "390004"], ["", " begins on "], ["host", "fu-01.example.org"]],
    "slots": [
        {
            "kind": "int",
            "is_risky": False,
            "proposed": {"how": "publish", "least": 0, "most": 3900040},
            "distinct": 12,
            "values": ["390004"],
        },
        {
            "kind": "host",
            "is_risky": True,
            "proposed": {"how": "pseudonym"},
            "distinct": 3,
            "values": ["fu-01.example.org"],
        },
    ],
    "shown_as": "run 390004 begins on host-bfa2lx35",
    "why_not": "",
    "is_forbidden": False,
}
_STATE: dict[str, Any] = {
    "waiting": 41,
    "lines": 25210,
    "to_confirm": 0,
    "approved": 160,
    "refused": 4,
    "expired": 0,
    "two_persons": False,
    "cause": "",
}


@router.get(
    "/mirror/templates",
    summary="Templates of log lines that wait for a decision, and what was decided",
    responses={
        200: example(
            {"type": "mirror_templates", "state": _STATE, "waiting": [_WAITING], "decided": [], "others": 0},
            "`waiting`: those with most withheld lines first. `example` and `values` are raw lines of the inside.",
        ),
        **refusals(503),
    },
)
async def list_templates(console: Console, most: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = 100) -> Response:
    """For experts alone: what stands here must not leave."""
    return as_json(await ask(console.bus, DEPARTMENT, QUERY, TemplatesQuery(most=most), TemplatesAnswer))


@router.post(
    "/mirror/templates/commands/{command}",
    summary="Approve, confirm, refuse or withdraw a template",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(MIRROR.values())}",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_template(
    command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """A decision counts from the next line on."""
    check_command(command, MIRROR, "templates")
    return await carry(console, request, DEPARTMENT, TARGET, command, order)
