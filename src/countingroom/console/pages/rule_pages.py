"""The page of rules. Its rows come with the live feed."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.api.rules import denied
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render


class RulePages:
    """The page of the rules of the alarm department."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route of the list."""
        router.add_api_route("/rules", self.rules)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for rules."""
        return {}

    async def rules(self, request: Request) -> HTMLResponse:
        """The rules, and the last firing of the selected one with its evidence."""
        refused = msgspec.to_builtins(denied(self._context, request))
        return self._render(request, "rules.html", "rules", "Rules", data={"denied_rules": refused})


pages = RulePages
