"""The page of events, and the last ones on the overview."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.console.present.recent_events import shown
from countingroom.core.messages import EventKind

_ON_THE_OVERVIEW = 30
_ON_THE_PAGE = 200


class EventPages:
    """The pages of the events."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route of the events."""
        router.add_api_route("/events", self.events)

    async def overview(self, request: Request) -> dict[str, Any]:
        """The last events."""
        return {"events": self._recent(_ON_THE_OVERVIEW)}

    async def events(self, request: Request) -> HTMLResponse:
        """The list of events."""
        kinds = [kind.value for kind in EventKind]
        events = self._recent(_ON_THE_PAGE)
        return self._render(request, "events.html", "events", "Events", events=events, kinds=kinds)

    def _recent(self, limit: int) -> list[dict[str, object]]:
        return [shown(one) for one in self._context.recent_events.recent(limit)]


pages = EventPages
