"""The API of notes for the public: those that there are, what would be seen outside, and the commands about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from countingroom.console.api.commands import Argument, CommandBody, carry, check_command
from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core import command_permissions
from countingroom.core.commands.notes import NOTES, NOTES_TARGET
from countingroom.core.commands.row import reference
from countingroom.core.mirror.note_queries import (
    MOST_NOTES,
    NOTES_QUERY,
    PREVIEW_QUERY,
    NotePreview,
    NotePreviewQuery,
    NotesAnswer,
    NotesQuery,
)
from countingroom.core.policy import Permission

router = APIRouter(tags=["mirror"])


def _of_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_note(parameters["command"])


ROUTES = {
    "GET /public-notes": RoutePermission(action=Permission.VIEW),
    "GET /api/v1/mirror/notes": RoutePermission(action=Permission.VIEW),
    "POST /api/v1/mirror/notes/{command}/preview": RoutePermission(by=_of_command),
    "POST /api/v1/mirror/notes/commands/{command}": RoutePermission(by=_of_command),
}
DEPARTMENT = "mirror"
_OUTSIDE: dict[str, Any] = {
    "note": 7,
    "sort": "maintenance",
    "state": "open",
    "title": "Cooling plant: filters are changed",
    "text": "No data is taken.",
    "parts": ["mCBM"],
    "from": "2026-12-01T08:00:00Z",
    "to": "2026-12-01T12:00:00Z",
    "made": "2026-11-30T15:12:04Z",
    "changed": "2026-11-30T15:12:04Z",
    "updates": [],
}
_NOTE: dict[str, Any] = {
    "number": 7,
    "sort": "maintenance",
    "title": "Cooling plant: filters are changed",
    "text": "No data is taken.",
    "parts": ["mCBM"],
    "from_ns": 1796112000000000000,
    "to_ns": 1796126400000000000,
    "by": "anna",
    "made_ns": 1796051524000000000,
    "changed_ns": 1796051524000000000,
    "changed_by": "anna",
}


class PreviewBody(BaseModel):
    """A command whose preview is asked for."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"example": {"arguments": {"sort": "incident", "title": "The magnet is off"}}},
    )

    arguments: Annotated[dict[str, Argument], Field(max_length=20)] = {}
    """As the command declares them, without `mark`."""


@router.get(
    "/mirror/notes",
    summary="Notes for the public: incidents, maintenance and others",
    responses={
        200: example(
            {
                "type": "mirror_notes",
                "state": {"open": 1, "ended": 4, "changes": 2, "is_published": True},
                "notes": [{"note": _NOTE, "outside": _OUTSIDE, "why_not": ""}],
                "parts": ["mCBM", "chiller"],
            },
            "The newest first. `outside`: as it is seen outside; null where it stays inside, with `why_not`.",
        ),
        **refusals(503),
    },
)
async def list_notes(console: Console, most: Annotated[int, Query(ge=1, le=MOST_NOTES)] = 100) -> Response:
    """`parts`: what is published now, and can be named by a note."""
    return as_json(await ask(console.bus, DEPARTMENT, NOTES_QUERY, NotesQuery(most=most), NotesAnswer))


@router.post(
    "/mirror/notes/{command}/preview",
    summary="What would be seen outside after a command about a note",
    responses={
        200: example(
            {
                "type": "mirror_note_preview",
                "mark": "0f1e2d3c4b5a6978",
                "outside": _OUTSIDE,
                "masked": 0,
                "withheld": ["author: no rule names it"],
                "cause": None,
            },
            "Nothing was changed. The command takes `mark`, and publishes what was shown.",
        ),
        **refusals(404, 503),
    },
)
async def preview_note(command: str, console: Console, request: Request, order: PreviewBody | None = None) -> Response:
    """`cause`: why the command would be refused."""
    check_command(command, NOTES, "notes")
    arguments = dict(order.arguments) if order else {}
    query = NotePreviewQuery(action=command, arguments=arguments, by=requester(request).name)
    return as_json(await ask(console.bus, DEPARTMENT, PREVIEW_QUERY, query, NotePreview))


@router.post(
    "/mirror/notes/commands/{command}",
    summary="Publish, correct, update, end or withdraw a note",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(NOTES.values())}",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_note(command: str, console: Console, request: Request, order: CommandBody | None = None) -> Response:
    """What the preview with this `mark` showed is published, else nothing is."""
    check_command(command, NOTES, "notes")
    return await carry(console, request, DEPARTMENT, NOTES_TARGET, command, order)
