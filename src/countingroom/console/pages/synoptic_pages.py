"""The pages of synoptics: drawings of the user that show points and states."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse

from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.console.present import partition_words, synoptic_views
from countingroom.console.synoptic_files import SynopticFiles, SynopticUnreadable
from countingroom.core.errors import NotFound
from countingroom.core.synoptics.bindings import bind
from countingroom.core.synoptics.elements import Drawing
from countingroom.core.synoptics.known_names import KnownNames, wrong_bindings
from countingroom.core.synoptics.writing import write
from countingroom.core.yaml.located import Mistaken

_MOST_WRONG = 50
"""Mistakes that a page lists."""


class _Made(NamedTuple):
    """What a page is made of."""

    drawing: Drawing
    known: KnownNames
    systems: Mapping[str, Sequence[str]]


class SynopticPages:
    """The drawings of the description."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render
        self._turn = asyncio.Lock()
        self._made: dict[str, tuple[_Made, dict[str, Any]]] = {}
        """Name -> what its page was last made of, and the parts of the page."""

    def add_to(self, router: APIRouter) -> None:
        """Add the route of a synoptic."""
        router.add_api_route("/synoptics/{name}", self.synoptic)

    async def overview(self, request: Request) -> dict[str, Any]:
        """The one that stands on the overview."""
        name = self._context.synoptics.on_overview
        return {"synoptic": await self._shown(name)} if name else {}

    async def synoptic(self, request: Request, name: str) -> HTMLResponse:
        """One drawing with its present values."""
        titles = self._context.synoptics.titles
        if name not in titles:
            there = ", ".join(titles) or "none"
            raise NotFound(
                f"there is no synoptic {name!r}", source="console", suggestion=f"synoptics of the description: {there}"
            )
        shown = await self._shown(name)
        return self._render(request, "synoptic.html", "synoptic", titles[name], above="Synoptics", synoptic=shown)

    async def _shown(self, name: str) -> dict[str, Any]:
        """The drawing as markup, its bindings, and what is wrong with it."""
        context = self._context
        files, titles = context.synoptics, context.synoptics.titles
        found: dict[str, Any] = {"name": name, "title": titles[name], "svg": Markup(), "bindings": [], "wrong": []}
        try:
            drawing = await files.drawing(name)
        except Mistaken as error:
            return found | {"wrong": [str(one) for one in error.problems]}
        except SynopticUnreadable as error:
            return found | {"wrong": [error.cause.message]}
        known = synoptic_views.known_names(dict(context.latest.catalogues), titles)
        systems = {
            partition: [member.system for member in state.members]
            for partition, state in partition_words.partitions(context.latest.words).items()
        }
        of = _Made(drawing, known, systems)
        async with self._turn:  # many pages at once must not take all threads, nor all of the time
            made, parts = self._made.get(name, (None, found))
            if made is None or made.drawing is not drawing or made[1:] != of[1:]:
                # In a thread: a large drawing takes longer than the live feed may wait.
                parts = await asyncio.to_thread(_prepared, files, name, drawing, known, systems)
                self._made[name] = of, parts
        return found | parts


def _prepared(
    files: SynopticFiles, name: str, drawing: Drawing, known: KnownNames, systems: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The drawing as markup, its bindings, and what is wrong with them."""
    file, titles = files.files[name], files.titles
    bindings, wrong = bind(drawing, file.bindings, file.devices | known.devices.keys())
    wrong += wrong_bindings(drawing, bindings, known)
    svg = write(
        drawing,
        bindings,
        prefix=f"sy-{name}",
        label=titles[name],
        address=lambda target: synoptic_views.address(target, systems),
        adapt=file.adapt,
    )
    reasons = {one.element: one.message for one in wrong}
    return {
        # `write` gives only elements and attributes of its own lists, with every text escaped.
        "svg": Markup(svg),  # noqa: S704
        "bindings": synoptic_views.shown_bindings(bindings, known, titles, reasons),
        "wrong": [f"{one.element}: {one.message}" for one in wrong[:_MOST_WRONG]],
    }


pages = SynopticPages
