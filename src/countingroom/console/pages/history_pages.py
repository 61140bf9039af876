"""The page of trends: the history of selected points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.console.present import format as write


class HistoryPages:
    """The pages of the history."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route of the trends."""
        router.add_api_route("/trends", self.trends)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for the history."""
        return {}

    async def trends(self, request: Request) -> HTMLResponse:
        """The history of selected points."""
        points = await self._context.long_work.all(self._all_points())
        return self._render(request, "trends.html", "trends", "Trends", data={"points": points})

    def _all_points(self) -> Iterator[dict[str, object]]:
        return (
            {
                "id": f"{catalogue.device}.{point.name}",
                "device": catalogue.title or catalogue.device,
                "channel": point.channel,
                "label": point.label or point.column or point.name,
                "unit": write.unit(point.unit),
                "precision": point.precision,
                "deadband": point.deadband,
                "limits": {
                    name: limit for name, limit in msgspec.to_builtins(point.limits).items() if limit is not None
                },
                "codes": point.codes,
                "type": point.type.value,
            }
            for catalogue in tuple(self._context.latest.catalogues.values())
            for point in catalogue.points
        )


pages = HistoryPages
