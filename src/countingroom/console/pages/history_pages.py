"""The page of trends: the history of selected points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from countingroom.console.api.history_stores import shown_stores
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.console.present import format as write
from countingroom.core.errors import LinkError
from countingroom.core.policy import Permission, decide
from countingroom.core.subjects import EXPERIMENT


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

    async def trends(
        self, request: Request, view: Annotated[str, Query(description="a saved view")] = ""
    ) -> HTMLResponse:
        """The history of selected points, or of those of a saved view."""
        points = await self._context.long_work.all(self._all_points())
        return self._render(
            request,
            "trends.html",
            "trends",
            "Trends",
            data={"points": points, **await self._views(request, view)},
            stores=shown_stores(self._context),
        )

    async def _views(self, request: Request, opened: str) -> dict[str, object]:
        """The saved views; `views` is null where no database keeps any. Raises NotFound for an unknown view."""
        context, principal = self._context, requester(request).principal
        now_ns = context.clock.now_ns()
        found: dict[str, object] = {
            "views": None,
            "view": None,
            "views_failed": "",
            "views_denied": msgspec.to_builtins(decide(principal, Permission.OPERATE, EXPERIMENT, now_ns=now_ns)),
            "administers": decide(principal, Permission.ADMINISTER, EXPERIMENT, now_ns=now_ns) is None,
        }
        if context.database is None:
            if opened:
                await context.records.trend_views.get(opened)
            return found
        try:
            found["view"] = msgspec.to_builtins(await context.records.trend_views.get(opened)) if opened else None
            found["views"] = msgspec.to_builtins(await context.records.trend_views.list())
        except LinkError as error:
            found["views_failed"] = error.cause.message  # trends are shown without them
            found["views"] = []
        return found

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
