"""The page of the description in force: its version, which processes have it, and the reload of the edited one."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.core.command_permissions import of_description
from countingroom.core.policy import decide
from countingroom.core.reload.messages import STATE_KEY, DescriptionInForce
from countingroom.core.subjects import EXPERIMENT


class DescriptionPages:
    """One page. What is in force comes with the live feed; only administrators ask for a plan."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add its route."""
        router.add_api_route("/description", self.description)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for the description."""
        return {}

    async def description(self, request: Request) -> HTMLResponse:
        """The present state, and why this user may not reload, where that is so."""
        state = self._context.latest.words.get(STATE_KEY)
        now_ns = self._context.clock.now_ns()
        denied = decide(requester(request).principal, of_description("reload"), EXPERIMENT, now_ns=now_ns)
        data = {
            "in_force": msgspec.to_builtins(state) if isinstance(state, DescriptionInForce) else None,
            "denied_reload": msgspec.to_builtins(denied),
        }
        return self._render(request, "description.html", "description", "Description", data=data)


pages = DescriptionPages
