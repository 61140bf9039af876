"""The pages of login, accounts and audit. Each is a form; its script asks the API for the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.auth.local_path import local_path
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render

TITLES = {"login": "Log in", "link": "Set your password", "account": "Account", "users": "Users", "audit": "Audit"}
"""Page -> its title."""


class AccountPages:
    """The pages of login, accounts and audit."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add a route for each page."""
        for name, title in TITLES.items():
            router.add_api_route(f"/{name}", self._form(name, title))

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for accounts."""
        return {}

    def _form(self, name: str, title: str) -> Callable[[Request], Awaitable[HTMLResponse]]:
        async def form(request: Request) -> HTMLResponse:
            next_path = local_path(request.query_params.get("next", "/"))
            return self._render(request, f"{name}.html", name, title, next_path=next_path)

        return form


pages = AccountPages
