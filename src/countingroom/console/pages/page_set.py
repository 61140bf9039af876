"""The port of a module of pages: its routes, and its part of the overview.

The module has a function `pages(context, render) -> PageSet`, and its path stands in the departments' table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

Render = Callable[..., HTMLResponse]
"""`render(request, template, page, heading, **values)`: a page inside the console's frame."""


class PageSet(Protocol):
    """Pages of one department."""

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        ...

    async def overview(self, request: Request) -> Mapping[str, Any]:
        """Values for the template of the overview; empty for pages without a part in it."""
        ...
