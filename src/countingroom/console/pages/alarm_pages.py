"""The page of alarms, whose rows come with the live feed: the list may have ten thousand; that of their figures; and
that of the one-time link in a message."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.context import ConsoleContext
from countingroom.console.pages.commanded import commanded
from countingroom.console.pages.page_set import Render
from countingroom.console.present import alarm_views, partition_words


class AlarmPages:
    """The pages of the alarm department."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the routes of the pages."""
        router.add_api_route("/alarms", self.alarms)
        router.add_api_route("/alarms/figures", self.figures)
        router.add_api_route("/acknowledge", self.acknowledge)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has the alarms by itself."""
        return {}

    async def alarms(self, request: Request) -> HTMLResponse:
        """The list of alarms with filters, guidance, trend and history of the selected one."""
        words = self._context.latest.words
        partitions = [commanded(self._context, request, one) for one in partition_words.partitions(words).values()]
        return self._render(
            request,
            "alarms.html",
            "alarms",
            "Alarms",
            counted=alarm_views.counts(alarm_views.all_alarms(words)),
            data={"partitions": partitions},
        )

    async def figures(self, request: Request) -> HTMLResponse:
        """The figures of EEMUA 191 over a range: rates, floods, worst actors, times to acknowledge."""
        return self._render(request, "alarm_figures.html", "alarm-figures", "Alarm figures")

    async def acknowledge(self, request: Request) -> HTMLResponse:
        """The same for each link: its script asks for the alarms. Open without a login."""
        return self._render(request, "acknowledge.html", "acknowledge", "Acknowledge", next_path="/alarms")


pages = AlarmPages
