"""The page of a device, and the cards and point counts of the devices on the overview."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.console.present import device_views
from countingroom.console.present.recent_events import shown
from countingroom.console.route_permissions import denied_commands
from countingroom.core import subjects
from countingroom.core.charts.draw import svg
from countingroom.core.errors import NotFound
from countingroom.core.messages import Catalogue

_ROWS = 100
"""Readings in one step of long work."""


class DevicePages:
    """The pages of the devices."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route of a device."""
        router.add_api_route("/devices/{device}", self.device)

    async def overview(self, request: Request) -> dict[str, Any]:
        """A card for each device that is to have one, and the counts of points by group."""
        branches = device_views.branches(self._context.latest.catalogues)
        work, abnormal = self._context.long_work, self._context.device_rows
        shown = [catalogue for branch in branches for catalogue in branch.devices if catalogue.card]
        cards = work.all(self._card(catalogue) for catalogue in shown)
        counts = work.all((branch.group, device_views.group_counts(abnormal, branch)) for branch in branches)
        return {"cards": await cards, "group_counts": dict(await counts)}

    async def device(self, request: Request, device: str) -> HTMLResponse:
        """One device: its state, points and commands."""
        latest = self._context.latest
        catalogue = latest.catalogues.get(device)
        if catalogue is None:
            raise NotFound(f"there is no device {device!r}", source="console", suggestion="choose one on the left")
        states = {
            channel: latest.states.get(
                subjects.channel_key(device, channel) if channel else subjects.device_key(device)
            )
            for channel in ("", *catalogue.channels)
        }
        readings = tuple(latest.readings.get(device, {}).items())
        found = await self._context.long_work.all(
            self._context.device_rows.show(device, readings[first : first + _ROWS])
            for first in range(0, len(readings), _ROWS)
        )
        rows = {name: row for some in found for name, row in some.items()}
        return self._render(
            request,
            "device.html",
            "device",
            catalogue.title or device,
            above=catalogue.group or "Devices",
            catalogue=catalogue,
            states=states,
            columns=device_views.columns(catalogue),
            own=device_views.own_points(catalogue),
            lamps=device_views.lamps(catalogue),
            tiled=device_views.is_tiled(catalogue),
            partner=device_views.partner(catalogue),
            rows=rows,
            chart=self._chart(catalogue, states[""].state if states[""] else ""),
            events=[shown(one) for one in self._context.recent_events.recent(30, source=device)],
            data={
                "device": device,
                "rows": rows,
                "catalogue": device_views.compact(catalogue),
                "inputs": device_views.inputs(catalogue, latest.catalogues),
                "states": {channel: msgspec.to_builtins(state) for channel, state in states.items() if state},
                "denied": msgspec.to_builtins(
                    denied_commands(requester(request).principal, catalogue, self._context.clock.now_ns())
                ),
            },
        )

    def _card(self, catalogue: Catalogue) -> dict[str, object]:
        latest, device = self._context.latest, catalogue.device
        readings = latest.readings.get(device, {})
        return {
            "catalogue": catalogue,
            "state": latest.states.get(subjects.device_key(device)),
            "channels": [
                (channel, latest.states.get(subjects.channel_key(device, channel))) for channel in catalogue.channels
            ],
            "rows": [
                (
                    row,
                    readings.get(row.point.name),
                    latest.states.get(subjects.channel_key(device, row.channel)) if row.channel else None,
                )
                for row in device_views.card_rows(catalogue)
            ],
            "summary": self._context.device_rows.summary(device),
        }

    def _chart(self, catalogue: Catalogue, present: str) -> Markup:
        """The drawing comes from our own code, which escapes the names in it."""
        return Markup(svg(catalogue.chart, present)) if catalogue.chart else Markup("")  # noqa: S704


pages = DevicePages
