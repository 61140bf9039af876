"""The page Control room: actions at the upstreams of the mirror, what would be sent, and what was answered."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.api.mirror_control import actions, controlled
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.core.commands.upstreams import UPSTREAMS
from countingroom.core.policy import decide


class ControlRoomPages:
    """One page. Every action is a command of the API, which decides again."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/control", self.control_room)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for upstreams."""
        return {}

    async def control_room(self, request: Request) -> HTMLResponse:
        """All upstreams that can be controlled."""
        upstreams = controlled(self._context)
        principal, now_ns = requester(request).principal, self._context.clock.now_ns()
        denied = {
            one.name: {
                name: msgspec.to_builtins(cause)
                for name in one.actions
                if (cause := decide(principal, UPSTREAMS[name].permission, f"upstream.{one.name}", now_ns=now_ns))
            }
            for one in upstreams
        }
        data = {"upstreams": msgspec.to_builtins(upstreams), "actions": actions(), "denied_actions": denied}
        return self._render(request, "control_room.html", "control", "Control room", data=data)


pages = ControlRoomPages
