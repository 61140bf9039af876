"""The page of interlocks: each matrix live, what tripped, what is bypassed, and the proof tests."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.core import subjects
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.policy import Permission, decide


class InterlockPages:
    """The page of the interlocks of the alarm department. Its matrices come with the live feed."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route of the page."""
        router.add_api_route("/interlocks", self.interlocks)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: a tripped interlock is an alarm there."""
        return {}

    async def interlocks(self, request: Request) -> HTMLResponse:
        """The matrices. `denied_interlocks`: why this user may give none of their commands; None: the role that an
        interlock declares decides. `partitions_of_interlocks`: those whose runs they stop or forbid."""
        principal, now_ns = requester(request).principal, self._context.clock.now_ns()
        denied = decide(principal, Permission.OPERATE, subjects.EXPERIMENT, now_ns=now_ns)
        states = [one for one in self._context.latest.words.values() if isinstance(one, InterlockState)]
        partitions = {effect.partition for state in states for effect in state.effects if effect.partition}
        data = {"denied_interlocks": msgspec.to_builtins(denied), "partitions_of_interlocks": sorted(partitions)}
        return self._render(request, "interlocks.html", "interlocks", "Interlocks", data=data)


pages = InterlockPages
