"""Law: a page is rendered here with what is true now; its script keeps it true. Text of others is always escaped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from countingroom.console.auth.accounts import in_words, word
from countingroom.console.auth.passwords import SHORTEST
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.run_pages import RunPages
from countingroom.console.present import device_views, partition_views
from countingroom.console.present import format as write
from countingroom.console.present import partition_alarms as present_alarms
from countingroom.console.present.recent_events import shown
from countingroom.console.route_permissions import denied_commands
from countingroom.core import severity, subjects
from countingroom.core.charts.draw import svg
from countingroom.core.errors import Cause, NotFound
from countingroom.core.messages import Catalogue, EventKind
from countingroom.core.policy import Role

_LEVELS = ("normal", "high", "medium", "low", "stale")
PLAIN = {"login": "Log in", "link": "Set your password", "account": "Account", "users": "Users", "audit": "Audit"}
"""Pages about people."""
_BAR = 4
"""Alarms that the bar at the bottom names."""


class Pages:
    """The console's pages."""

    def __init__(self, context: ConsoleContext, static: Path) -> None:
        self._context = context
        self._static = static
        self._jinja = Environment(
            loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        words: dict[str, Any] = {
            "write": write,
            "views": device_views,
            "run_views": partition_views,
            "glyph_words": _LEVELS,
        }
        self._jinja.globals.update(words)
        self.router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        self.router.add_api_route("/", self.overview)
        self.router.add_api_route("/devices/{device}", self.device)
        self.router.add_api_route("/trends", self.trends)
        self.router.add_api_route("/events", self.events)
        self._runs = RunPages(context, self._page)
        self._runs.add_to(self.router)
        for name, title in PLAIN.items():
            self.router.add_api_route(f"/{name}", self._plain(name, title))

    async def overview(self, request: Request) -> HTMLResponse:
        """Is anything wrong, and what."""
        latest = self._context.latest
        cards = [
            self._card(catalogue) for branch in device_views.branches(latest.catalogues) for catalogue in branch.devices
        ]
        counts = {
            branch.group: device_views.group_counts(self._context.abnormal, branch) for branch in self._branches()
        }
        return self._page(
            request,
            "overview.html",
            "overview",
            "Overview",
            cards=cards,
            group_counts=counts,
            events=self._recent(12),
            **await self._runs.cards(),
        )

    async def device(self, request: Request, device: str) -> HTMLResponse:
        """One device: everything it says and what may be done with it."""
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
        rows = self._context.abnormal.show(device, latest.readings.get(device, {}).items())
        return self._page(
            request,
            "device.html",
            "device",
            catalogue.title or device,
            above=catalogue.group or "Devices",
            catalogue=catalogue,
            states=states,
            columns=device_views.columns(catalogue),
            own=device_views.own_points(catalogue),
            partner=device_views.partner(catalogue),
            rows=rows,
            chart=self._chart(catalogue, states[""].state if states[""] else ""),
            events=self._recent(30, source=device),
            data={
                "device": device,
                "rows": rows,
                "catalogue": device_views.compact(catalogue),
                "states": {channel: msgspec.to_builtins(state) for channel, state in states.items() if state},
                "denied": msgspec.to_builtins(
                    denied_commands(requester(request).principal, catalogue, self._context.clock.now_ns())
                ),
            },
        )

    async def trends(self, request: Request) -> HTMLResponse:
        """The past of any points."""
        return self._page(request, "trends.html", "trends", "Trends", data={"points": self._all_points()})

    async def events(self, request: Request) -> HTMLResponse:
        """What happened."""
        kinds = [kind.value for kind in EventKind]
        return self._page(request, "events.html", "events", "Events", events=self._recent(200), kinds=kinds)

    def _plain(self, name: str, title: str) -> Callable[[Request], Awaitable[HTMLResponse]]:
        """A page that holds nothing but its form; its script asks for the rest."""

        async def plain(request: Request) -> HTMLResponse:
            return self._page(request, f"{name}.html", name, title)

        return plain

    def error(self, request: Request, cause: Cause, status: int) -> HTMLResponse:
        """A page that says what is wrong."""
        page = self._page(request, "error.html", "error", "Not here" if status == 404 else "Not possible", cause=cause)
        page.status_code = status
        return page

    def _page(self, request: Request, template: str, name: str, here: str, **values: Any) -> HTMLResponse:
        context, who = self._context, requester(request)
        alarms = present_alarms.everything(context.abnormal, context.latest.words)
        partitions = present_alarms.partitions(context.latest.words)
        context = {
            "page": name,
            "here": here,
            "above": "",
            "title": context.title,
            "version": context.version,
            "user": who.name,
            "role": word(who.principal.role),
            "roles": in_words(who.principal.roles),
            "shortest": SHORTEST,
            "mark": who.csrf_token,
            "has_login": context.sessions.has_login,
            "administers": who.principal.role is Role.ADMINISTRATOR,
            "vendored": (self._static / "vendor" / "uplot.js").exists(),
            "simulated": any(catalogue.simulated for catalogue in context.latest.catalogues.values()),
            "branches": self._branches(),
            "board": context.abnormal,
            "catalogues": context.latest.catalogues,
            "partitions": partitions,
            "foremost": here if name == "partition" else partition_views.foremost(partitions),
            "worst_of": present_alarms.worst,
            "priorities_of": present_alarms.priorities,
            "gone_since": partial(present_alarms.gone_since, context.abnormal),
            "has_runs": context.has_runs,
            "alarms": alarms,
            "bar": alarms[:_BAR],
            "counts": [sum(alarm.level == level for alarm in alarms) for level in (1, 2, 3)],
            "now_ns": context.clock.now_ns(),
            "urgency": severity.urgency,
            "data": {},
        }
        return HTMLResponse(self._jinja.get_template(template).render(context | values))

    def _branches(self) -> list[device_views.Branch]:
        return device_views.branches(self._context.latest.catalogues)

    def _recent(self, limit: int, *, source: str = "") -> list[dict[str, object]]:
        return [shown(one) for one in self._context.recent_events.recent(limit, source=source)]

    def _card(self, catalogue: Catalogue) -> dict[str, object]:
        latest = self._context.latest
        readings = latest.readings.get(catalogue.device, {})
        return {
            "catalogue": catalogue,
            "state": latest.states.get(subjects.device_key(catalogue.device)),
            "channels": [
                (channel, latest.states.get(subjects.channel_key(catalogue.device, channel)))
                for channel in catalogue.channels
            ],
            "facts": [(point, readings.get(point.name)) for point in device_views.key_points(catalogue)],
            "summary": self._context.abnormal.summary(catalogue.device),
        }

    def _chart(self, catalogue: Catalogue, present: str) -> Markup:
        """The drawing comes from our own code, which escapes the names in it."""
        return Markup(svg(catalogue.chart, present)) if catalogue.chart else Markup("")  # noqa: S704

    def _all_points(self) -> list[dict[str, object]]:
        return [
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
            for catalogue in self._context.latest.catalogues.values()
            for point in catalogue.points
        ]
