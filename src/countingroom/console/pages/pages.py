"""The frame of every page, the overview and the navigation; the departments' own pages are in `*_pages.py`.

A page is rendered with the present values and kept current by its script. Jinja escapes every text in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from countingroom.console.api.alarms import denied_commands
from countingroom.console.auth.accounts import in_words, word
from countingroom.console.auth.passwords import SHORTEST
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import PageSet
from countingroom.console.pages.rendered_page import RenderedPage
from countingroom.console.present import device_views, partition_views, partition_words
from countingroom.console.present import format as write
from countingroom.console.present.present_alarms import after
from countingroom.core import severity
from countingroom.core.errors import Cause
from countingroom.core.fleet.states import FLEET_KEY
from countingroom.core.fleet.usage import DRIVER
from countingroom.core.mirror.control import CONTROL_KEY
from countingroom.core.mirror.note_queries import NOTES_KEY
from countingroom.core.mirror.template_queries import TEMPLATES_KEY
from countingroom.core.policy import Permission, Role, decide
from countingroom.core.subjects import EXPERIMENT
from countingroom.departments import DEPARTMENTS, Department, load

_LEVELS = ("normal", "high", "medium", "low", "stale")
_BAR = 3
"""Alarms that the bar at the bottom names."""


def _json(value: object, indent: int = 0, **_: object) -> str:
    """JSON, encoded in a fraction of the time that Python's own encoder needs for thousands of points."""
    encoded = msgspec.json.encode(value)
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()


class Pages:
    """The console's pages."""

    def __init__(
        self,
        context: ConsoleContext,
        static: Path,
        static_address: Callable[[], str],
        departments: Sequence[Department] = DEPARTMENTS,
    ) -> None:
        """`static`: the folder of the scripts and styles. `static_address`: what their addresses begin with."""
        self._context = context
        self._static = static
        self._static_address = static_address
        self._links = [link for department in departments for link in department.links]
        self._trees = [department.tree for department in departments if department.tree]
        self._jinja = Environment(
            loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.policies["json.dumps_function"] = _json
        words: dict[str, Any] = {
            "write": write,
            "views": device_views,
            "run_views": partition_views,
            "glyph_words": _LEVELS,
            "after": after,
        }
        self._jinja.globals.update(words)
        self.router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        self.router.add_api_route("/", self.overview)
        self._page_sets: list[PageSet] = [
            load(module).pages(context, self._page) for department in departments for module in department.pages
        ]
        for one in self._page_sets:
            one.add_to(self.router)

    async def compile_templates(self) -> None:
        """Compile each template, one in a turn of the event loop. Compiled at its first use, with all that it includes,
        a page kept the loop for 50 ms."""
        for name in self._jinja.list_templates():
            self._jinja.get_template(name)
            await asyncio.sleep(0)

    async def overview(self, request: Request) -> HTMLResponse:
        """The overview: alarms, and the state of every partition and device."""
        values: dict[str, Any] = {
            "cards": [],
            "group_counts": {},
            "events": [],
            "partition_cards": (),
            "unmapped": [],
            "last_runs": (),
            "differs": "",
            "synoptic": None,
            "data": {},
        }
        for one in self._page_sets:
            values |= await one.overview(request)
        return self._page(request, "overview.html", "overview", "Overview", **values)

    def error(self, request: Request, cause: Cause, status: int) -> HTMLResponse:
        """The page of an error."""
        page = self._page(request, "error.html", "error", "Not here" if status == 404 else "Not possible", cause=cause)
        page.status_code = status
        return page

    def _page(self, request: Request, template: str, name: str, console: str, **values: Any) -> HTMLResponse:
        context, who = self._context, requester(request)
        alarms = context.alarms_now()
        partitions = partition_words.partitions(context.latest.words)
        frame: dict[str, Any] = {
            "page": name,
            "here": console,
            "above": "",
            "title": context.title,
            "version": context.version,
            "insecure": context.insecure,
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
            "board": context.device_rows,
            "catalogues": dict(context.latest.catalogues),  # it may change while the page is rendered
            "partitions": partitions,
            "foremost": console if name == "partition" else partition_views.foremost(partitions),
            "worst_of": alarms.worst,
            "priorities_of": alarms.of_partition,
            "gone_since": partial(partition_words.gone_since, context.device_rows),
            "has_runs": context.has_runs,
            "alarms": alarms.listed,
            "newest": alarms.newest,
            "waiting": alarms.waiting,
            "follow": alarms.follow,
            "watched": context.latest.watched,
            "bar": [alarm for alarm in alarms.listed if alarm.after_ns is None][:_BAR],
            "counts": alarms.counts,
            "worst_alarm": next((level for level, count in enumerate(alarms.counts, 1) if count), 0),
            "now_ns": context.clock.now_ns(),
            "urgency": severity.urgency,
            "data": {},
            "synoptics": context.synoptics.titles,
            "static": self._static_address(),
            "trees": self._trees,
            "has_fleet": FLEET_KEY in context.latest.words,
            "has_control": CONTROL_KEY in context.latest.words,
            "has_notes": NOTES_KEY in context.latest.words,
            "has_log_lines": TEMPLATES_KEY in context.latest.words and self._may_configure(request),
        }
        # The bar of every page has a button.
        denied = msgspec.to_builtins(denied_commands(context, request))
        values["data"] = {**values.get("data", {}), "denied_alarms": denied}
        frame["links"] = [link for link in self._links if all(frame[fact] for fact in link.needs)]
        return RenderedPage(context.long_work, self._jinja.get_template(template).generate(frame | values))

    def _may_configure(self, request: Request) -> bool:
        principal, now_ns = requester(request).principal, self._context.clock.now_ns()
        return decide(principal, Permission.CONFIGURE, EXPERIMENT, now_ns=now_ns) is None

    def _branches(self) -> list[device_views.Branch]:
        # The nodes of the fleet have pages of their own, and may be hundreds.
        known = self._context.latest.catalogues
        return device_views.branches({name: one for name, one in known.items() if one.driver != DRIVER})
