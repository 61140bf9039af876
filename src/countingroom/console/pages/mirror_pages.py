"""The pages of log lines that are withheld from the outside, and of notes for the public."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.core.mirror.notes import MOST_TEXT, MOST_TITLE, SORTS
from countingroom.core.policy import Permission, decide
from countingroom.core.subjects import EXPERIMENT


class MirrorPages:
    """The page of log lines is for experts: it shows raw lines of the inside."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add their routes."""
        router.add_api_route("/log-lines", self.log_lines)
        router.add_api_route("/public-notes", self.notes)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for the mirror."""
        return {}

    async def log_lines(self, request: Request) -> HTMLResponse:
        """The page asks the API for what waits, and again when it changes."""
        data = {"me": requester(request).name}
        return self._render(request, "log-lines.html", "log-lines", "Log lines", data=data)

    async def notes(self, request: Request) -> HTMLResponse:
        """The page asks the API for the notes, and again when they change."""
        principal, now_ns = requester(request).principal, self._context.clock.now_ns()
        denied = decide(principal, Permission.OPERATE, EXPERIMENT, now_ns=now_ns)
        most = {"title": MOST_TITLE, "text": MOST_TEXT}
        data = {"sorts": SORTS, "most": most, "denied_notes": msgspec.to_builtins(denied)}
        return self._render(request, "public-notes.html", "public-notes", "Public notes", data=data)


pages = MirrorPages
